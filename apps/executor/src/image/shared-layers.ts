import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { errnoOf, isDigest, messageOf, type Digest, type Logger } from '@croft/kit'
import {
  descriptorSchema,
  digestOfStream,
  hexOf,
  LAYER_COMPRESSION,
  readBlob,
  type Descriptor,
  type LayerBlob,
} from '@croft/oci'

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a sha256 digest')
const knownSchema = z.object({ diffId: digest, descriptor: descriptorSchema })
const seenSchema = z.object({ diffId: digest, homeId: z.string() })

/** Of smaller layers it is not worth it: to compress them takes a quarter of a second at most. */
const FROM_TAR_BYTES = 32 * 1024 * 1024
const MAX_BLOB_BYTES = 256 * 1024 * 1024
const MAX_BLOBS = 8
const MAX_NOTES = 200
/** A draft that is older was left by an executor that ended. */
const DRAFT_MS = 60 * 60_000
const WRITE_BYTES = 1024 * 1024

export interface SharedLayersOptions {
  /** `<CROFT_CACHE>/layers`, root's own. */
  folder: string
  homeId: string
  logger: Logger
  /** What the blobs were compressed by; another one would make other bytes. */
  compression?: string
}

/**
 * Compressed layers that homes of this host make alike, Node's above all, in the cache that they share. A layer is kept once two homes
 * made it of the same: then it is nobody's own; of what one home made only the digest is noted. What is found is a guess that the
 * digest of the caller's tree has to confirm, and a blob is given only when its bytes are what its digest says: nothing in the folder
 * is believed. Eight blobs stay, those used last. In `<folder>/`: `<key>.seen`, `<key>.json`, `<hex of a blob>`.
 */
export class SharedLayers {
  readonly #options: Required<SharedLayersOptions>

  constructor(options: SharedLayersOptions) {
    this.#options = { compression: LAYER_COMPRESSION, ...options }
  }

  /** The layer that homes made of what `guess` describes. */
  async find(guess: string): Promise<{ diffId: Digest; descriptor: Descriptor } | null> {
    const known = await this.#note(`${this.#keyOf(guess)}.json`, knownSchema)
    if (known === null) return null
    const found = await stat(join(this.#options.folder, hexOf(known.descriptor.digest))).catch(() => null)
    return found?.size === known.descriptor.size ? known : null
  }

  /** The bytes of a blob, or null when it is not here whole. */
  async open({ digest, size }: Descriptor): Promise<{ open(): Readable } | null> {
    const path = join(this.#options.folder, hexOf(digest))
    const found = await stat(path).catch(() => null)
    if (found === null) return null
    const isWhole = found.size === size && (await digestOfStream(readBlob(path)).catch(() => null)) === digest
    if (!isWhole) {
      await rm(path, { force: true })
      return null
    }
    const now = Date.now() / 1000
    await utimes(path, now, now).catch(() => undefined) // another home has just removed it: the upload says so
    return { open: () => readBlob(path) }
  }

  /** Takes note of a layer that was made of what `guess` describes, and keeps it when another home made the same. Never fails. */
  async keep(guess: string, blob: LayerBlob): Promise<void> {
    if (blob.tarBytes < FROM_TAR_BYTES || blob.descriptor.size > MAX_BLOB_BYTES) return
    try {
      await this.#keep(this.#keyOf(guess), blob)
    } catch (error) {
      this.#options.logger.warn('layer-not-shared', { digest: blob.descriptor.digest, why: messageOf(error) })
    }
  }

  async #keep(key: string, blob: LayerBlob): Promise<void> {
    const { diffId, descriptor } = blob
    const { folder, homeId } = this.#options
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const seen = await this.#note(`${key}.seen`, seenSchema)
    if (seen?.diffId !== diffId || seen.homeId === homeId) {
      await this.#write(`${key}.seen`, JSON.stringify({ diffId, homeId }))
    } else {
      await this.#write(hexOf(descriptor.digest), blob.open())
      await this.#write(`${key}.json`, JSON.stringify({ diffId, descriptor }))
    }
    await this.#tidy()
  }

  #keyOf(guess: string): string {
    return createHash('sha256')
      .update(JSON.stringify([this.#options.compression, guess]))
      .digest('hex')
  }

  async #note<T>(name: string, schema: z.ZodType<T>): Promise<T | null> {
    try {
      return schema.parse(JSON.parse(await readFile(join(this.#options.folder, name), 'utf8')))
    } catch {
      return null // not there, or as good as not there
    }
  }

  /** By rename. It is not brought to disk: what a power cut leaves of it is not what its digest says, or no note. */
  async #write(name: string, content: string | Buffer | Readable): Promise<void> {
    const { folder } = this.#options
    const draft = join(folder, `.${randomUUID()}`)
    try {
      if (content instanceof Readable) {
        await pipeline(content, createWriteStream(draft, { mode: 0o600, highWaterMark: WRITE_BYTES }))
      } else await writeFile(draft, content, { mode: 0o600 })
      await rename(draft, join(folder, name))
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
  }

  async #tidy(): Promise<void> {
    const { folder } = this.#options
    const entries = await Promise.all(
      (await readdir(folder)).map(async (name) => ({ name, at: await this.#timeOf(name) })),
    )
    const newestFirst = entries.toSorted((a, b) => b.at - a.at)
    const isBlob = ({ name }: { name: string }): boolean => /^[0-9a-f]{64}$/.test(name)
    const isDraft = ({ name }: { name: string }): boolean => name.startsWith('.')
    const surplus = [
      ...newestFirst.filter(isBlob).slice(MAX_BLOBS),
      ...newestFirst.filter((entry) => !isBlob(entry) && !isDraft(entry)).slice(MAX_NOTES),
      ...entries.filter((entry) => isDraft(entry) && entry.at < Date.now() - DRAFT_MS),
    ]
    for (const { name } of surplus) await rm(join(folder, name), { force: true })
  }

  async #timeOf(name: string): Promise<number> {
    return stat(join(this.#options.folder, name)).then(
      ({ mtimeMs }) => mtimeMs,
      (error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return Date.now() // another home removed it, or its draft has its name by now
        throw error
      },
    )
  }
}
