import { readFile, readlink, realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { isDigest, replaceLink, type Digest } from '@croft/kit'
import { ImageError } from '@croft/garden-api'
import { mediaTypes, readBlob, type Descriptor } from '@croft/oci'

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
 * The base images below one folder that the host's homes share, `<folder>/<stack>/{current,<hex>}/`, and which of them this home
 * stands on: `<pins>/<stack>` links to the hex. A home takes what is `current` when it first needs a stack and keeps it, whatever
 * other homes do; `croft stack:upgrade` moves the pin. An image never changes under its digest, so each is read once.
 */
export class BaseImages {
  readonly #folder: string
  readonly #pins: string | null
  readonly #read = new Map<string, Promise<BaseImage>>()

  constructor(folder: string, pins: string | null = null) {
    this.#folder = folder
    this.#pins = pins
  }

  /** This home's present image of a stack. @throws ImageError when the stack is not there */
  async current(stack: string): Promise<BaseImage> {
    if (!STACK.test(stack)) throw new ImageError(`there is no stack ${JSON.stringify(stack)}`)
    const pin = this.#pins === null ? null : join(this.#pins, stack)
    const pinned = pin === null ? null : await readlink(pin).catch(() => null)
    if (pinned !== null) {
      const image = await this.#at(stack, basename(pinned)).catch(() => null)
      if (image !== null) return image // else the cache was emptied, and this home begins anew
    }
    const hex = await realpath(join(this.#folder, stack, 'current')).then(basename, () => 'current')
    const image = await this.#at(stack, hex)
    if (pin !== null) await replaceLink(pin, hex)
    return image
  }

  /** One image of a stack by its digest, present or former. @throws ImageError when it is not there */
  at(stack: string, diffId: Digest): Promise<BaseImage> {
    if (!STACK.test(stack)) return Promise.reject(new ImageError(`there is no stack ${JSON.stringify(stack)}`))
    return this.#at(stack, diffId.slice('sha256:'.length))
  }

  #at(stack: string, hex: string): Promise<BaseImage> {
    const folder = join(this.#folder, stack, hex)
    const known = this.#read.get(folder)
    if (known !== undefined) return known
    const read = readBase(folder, stack)
    this.#read.set(folder, read)
    read.catch(() => this.#read.delete(folder)) // set-up may still be making it
    return read
  }

  /** The tree of a base layer by its digest, or null when it is no base layer of this host. Any image may name any stack. */
  async treeOf(stack: string, diffId: Digest): Promise<string | null> {
    if (!STACK.test(stack)) return null
    const folder = join(this.#folder, stack, diffId.slice('sha256:'.length))
    return realpath(join(folder, 'tree')).catch(() => null)
  }
}

async function readBase(folder: string, stack: string): Promise<BaseImage> {
  try {
    const json = imageJsonSchema.parse(JSON.parse(await readFile(join(folder, 'image.json'), 'utf8')))
    return {
      stack,
      diffId: json.diffId,
      treePath: join(folder, 'tree'),
      descriptor: { mediaType: mediaTypes.layerZstd, digest: json.blobDigest, size: json.blobBytes },
      env: json.env,
      user: json.user,
      labels: json.labels,
      openBlob: () => readBlob(join(folder, 'layer.tar.zst')),
    }
  } catch (error) {
    throw new ImageError(`the base image of stack ${stack} is not there`, error)
  }
}
