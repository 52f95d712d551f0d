import { createReadStream } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { isDigest, type Digest } from '@croft/kit'
import { ImageError } from '@croft/garden-api'
import { mediaTypes, type Descriptor } from '@croft/oci'

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a sha256 digest')
const imageJsonSchema = z.object({
  diffId: digest,
  blobDigest: digest,
  blobBytes: z.int().positive(),
  stack: z.string(),
  env: z.record(z.string(), z.string()),
  user: z.string(),
  labels: z.record(z.string(), z.string()),
})

/** The base image of a stack as it lies in the cache that the host's homes share. */
export interface BaseImage {
  stack: string
  diffId: Digest
  /** Its unpacked tree, with the image's own ids; never written to. */
  treePath: string
  descriptor: Descriptor
  env: Record<string, string>
  /** `uid:gid` that apps run as. */
  user: string
  labels: Record<string, string>
  openBlob(): Readable
}

const STACK = /^[a-z][a-z0-9.-]{0,40}$/

/**
 * The base images below one folder, `<folder>/<stack>/{current,<hex>}/`. A stack's image is read once: it never changes under
 * its digest, and another one becomes `current` only by a person's command and a new start.
 */
export class BaseImages {
  readonly #folder: string
  readonly #current = new Map<string, Promise<BaseImage>>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The present image of a stack. @throws ImageError when the stack is not there */
  current(stack: string): Promise<BaseImage> {
    if (!STACK.test(stack)) return Promise.reject(new ImageError(`there is no stack ${JSON.stringify(stack)}`))
    const known = this.#current.get(stack)
    if (known !== undefined) return known
    const read = this.#read(join(this.#folder, stack, 'current'), stack)
    this.#current.set(stack, read)
    read.catch(() => this.#current.delete(stack)) // set-up may still be making it
    return read
  }

  async #read(link: string, stack: string): Promise<BaseImage> {
    try {
      const folder = await realpath(link)
      const json = imageJsonSchema.parse(JSON.parse(await readFile(join(folder, 'image.json'), 'utf8')))
      return {
        stack,
        diffId: json.diffId,
        treePath: join(folder, 'tree'),
        descriptor: { mediaType: mediaTypes.layerZstd, digest: json.blobDigest, size: json.blobBytes },
        env: json.env,
        user: json.user,
        labels: json.labels,
        openBlob: () => createReadStream(join(folder, 'layer.tar.zst')),
      }
    } catch (error) {
      throw new ImageError(`the base image of stack ${stack} is not there`, error)
    }
  }

  /** The tree of a base layer by its digest, or null when it is no base layer of this host. */
  async treeOf(stack: string, diffId: Digest): Promise<string | null> {
    const base = await this.current(stack).catch(() => null)
    if (base?.diffId === diffId) return base.treePath
    const folder = join(this.#folder, stack, diffId.slice('sha256:'.length))
    return realpath(join(folder, 'tree')).catch(() => null)
  }
}
