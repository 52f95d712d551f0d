import { createHash, randomUUID, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync, unlinkSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { errnoOf, isDigest, parseDigest, systemClock, type Clock, type Digest } from '@croft/kit'
import type { ControllerConfig } from '../config.js'
import { CLOCK, CONFIG } from '../tokens.js'
import { DistributionError } from './errors.js'

/** Largest blob, bytes. */
const MAX_BLOB_BYTES = 8 * 1024 ** 3
/** What may wait to be written to an upload's file, bytes: it is written together. */
const WRITE_BYTES = 1024 * 1024
/** An upload nobody went on with is forgotten after this, ms. */
const UPLOAD_IDLE_MS = 60 * 60 * 1_000

/** Where blobs are that are not here. */
export interface Elsewhere {
  /** In bytes, or undefined when it is not there either, or cannot be asked. */
  size(digest: Digest): Promise<number | undefined>
  /** Fails at its end unless it is what the digest says. */
  read(digest: Digest): Promise<Readable>
}

interface Upload {
  path: string
  hash: Hash
  bytes: number
  lastUsedAt: number
  isBusy: boolean
  /** The repository it was begun for: nobody goes on with it from another one. */
  owner: string
}

/**
 * Blobs by their SHA-256 under `<home>/registry/blobs/sha256/`. A blob has its name only when all of it is on disk and its
 * digest was verified: written beside, synced, renamed, the folder synced. Writer: image.
 */
@Injectable()
export class BlobStore implements OnModuleInit {
  /** Set where images are published in another registry. */
  elsewhere: Elsewhere | undefined
  readonly #blobs: string
  readonly #uploading: string
  readonly #uploads = new Map<string, Upload>()
  /** When a blob was last asked for, on the monotonic clock: such a one is not collected. */
  readonly #usedAt = new Map<Digest, number>()
  readonly #startedAt: number
  readonly #diffIds: string

  constructor(
    @Inject(CONFIG) config: ControllerConfig,
    @Inject(CLOCK) private readonly clock: Clock = systemClock,
  ) {
    this.#startedAt = clock.monotonic()
    this.#blobs = `${config.home}/registry/blobs/sha256`
    this.#uploading = `${config.home}/registry/uploads`
    this.#diffIds = `${config.home}/registry/diffids`
  }

  /** Uploads do not outlive the controller: their hashes are in memory. */
  async onModuleInit(): Promise<void> {
    await mkdir(this.#blobs, { recursive: true, mode: 0o700 })
    await mkdir(this.#uploading, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#uploading)) await rm(`${this.#uploading}/${name}`, { force: true })
  }

  /** Keeps a blob from being collected for a while: whoever asked may be about to refer to it. */
  use(digest: Digest): void {
    this.#usedAt.set(digest, this.clock.monotonic())
  }

  /** How long ago a time of the file system is, ms. */
  ageOf(timeMs: number): number {
    return this.clock.now() - timeMs
  }

  /** Whether a blob was asked for within this time; before our own start nobody knows, so that counts too. */
  isUsedWithin(digest: Digest, ms: number): boolean {
    return this.clock.monotonic() - (this.#usedAt.get(digest) ?? this.#startedAt) < ms
  }

  /**
   * Removes every blob that is not marked, is older than the grace time and was not asked for within it. The last look and the
   * removal are one step: whoever asks meanwhile either finds the blob for good or does not find it.
   */
  async sweep(marked: ReadonlySet<Digest>, graceMs: number): Promise<{ blobs: number; bytes: number }> {
    const swept = { blobs: 0, bytes: 0 }
    for (const hex of await readdir(this.#blobs)) {
      const digest = `sha256:${hex}`
      if (!isDigest(digest) || marked.has(digest)) continue
      const { size, mtimeMs } = await stat(`${this.#blobs}/${hex}`)
      if (this.ageOf(mtimeMs) < graceMs || this.isUsedWithin(digest, graceMs)) continue
      unlinkSync(`${this.#blobs}/${hex}`)
      this.#usedAt.delete(digest)
      await rm(`${this.#diffIds}/${hex}`, { force: true })
      swept.blobs += 1
      swept.bytes += size
    }
    return swept
  }

  /** Size of a blob in bytes, or undefined when it is neither here nor elsewhere. */
  async size(digest: Digest): Promise<number | undefined> {
    return (await this.#sizeHere(digest)) ?? (await this.elsewhere?.size(digest))
  }

  /** The bytes of a blob, or of the range `start` to `end` (both included). */
  read(digest: Digest, range?: { start: number; end: number }): Readable {
    const path = this.#pathOf(digest)
    const { elsewhere } = this
    if (elsewhere === undefined || existsSync(path)) return createReadStream(path, range)
    return Readable.from(
      rangeOf(() => elsewhere.read(digest), range),
      { objectMode: false },
    )
  }

  /** A small blob in memory. */
  async bytes(digest: Digest): Promise<Buffer> {
    const chunks: Buffer[] = []
    for await (const chunk of this.read(digest)) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  }

  async #sizeHere(digest: Digest): Promise<number | undefined> {
    this.use(digest)
    try {
      return (await stat(this.#pathOf(digest))).size
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** Stores bytes that are in memory, and gives their digest. */
  async put(bytes: Buffer): Promise<Digest> {
    const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
    this.use(digest)
    if ((await this.#sizeHere(digest)) !== undefined) return digest
    const path = `${this.#uploading}/${randomUUID()}`
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#settle(path, digest)
    return digest
  }

  /** Begins an upload to a repository; the id is a secret of whoever began it. */
  async begin(owner: string): Promise<string> {
    await this.#forgetIdle()
    const id = randomUUID()
    const path = `${this.#uploading}/${id}`
    await (await open(path, 'wx', 0o600)).close()
    this.#uploads.set(id, {
      path,
      hash: createHash('sha256'),
      bytes: 0,
      lastUsedAt: this.clock.monotonic(),
      isBusy: false,
      owner,
    })
    return id
  }

  /** Bytes received so far. @throws DistributionError BLOB_UPLOAD_UNKNOWN, also for an upload to another repository */
  received(id: string, owner: string): number {
    const upload = this.#upload(id)
    if (upload.owner !== owner) throw new DistributionError(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload')
    return upload.bytes
  }

  /**
   * Appends to an upload; gives the bytes received so far. A stream that breaks off ends the upload.
   * @throws DistributionError BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_INVALID, SIZE_INVALID
   */
  async append(id: string, source: Readable, startsAt?: number): Promise<number> {
    const upload = this.#upload(id)
    if (startsAt !== undefined && startsAt !== upload.bytes) {
      throw new DistributionError(416, 'BLOB_UPLOAD_INVALID', `the upload goes on at byte ${upload.bytes}`)
    }
    if (upload.isBusy) throw new DistributionError(409, 'BLOB_UPLOAD_INVALID', 'the upload is being written to')
    upload.isBusy = true
    try {
      await pipeline(
        source,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            upload.hash.update(chunk)
            upload.bytes += chunk.length
            if (upload.bytes > MAX_BLOB_BYTES)
              throw new DistributionError(413, 'SIZE_INVALID', 'the blob is larger than 8 GiB')
            yield chunk
          }
        },
        createWriteStream(upload.path, { flags: 'a', highWaterMark: WRITE_BYTES }),
      )
    } catch (error) {
      await this.cancel(id)
      throw error
    } finally {
      upload.isBusy = false
      upload.lastUsedAt = this.clock.monotonic()
    }
    return upload.bytes
  }

  /**
   * Ends an upload: from now on the blob is here.
   * @throws DistributionError BLOB_UPLOAD_UNKNOWN, DIGEST_INVALID
   */
  async finish(id: string, digest: Digest): Promise<void> {
    const upload = this.#upload(id)
    this.#uploads.delete(id)
    const actual = `sha256:${upload.hash.digest('hex')}`
    if (actual !== digest) {
      await rm(upload.path, { force: true })
      throw new DistributionError(400, 'DIGEST_INVALID', `the bytes have the digest ${actual}`)
    }
    this.use(digest)
    await syncPath(upload.path)
    await this.#settle(upload.path, digest)
  }

  async cancel(id: string): Promise<void> {
    const upload = this.#uploads.get(id)
    this.#uploads.delete(id)
    if (upload !== undefined) await rm(upload.path, { force: true })
  }

  async #settle(temporary: string, digest: Digest): Promise<void> {
    await rename(temporary, this.#pathOf(digest))
    await syncPath(this.#blobs)
  }

  #upload(id: string): Upload {
    const upload = this.#uploads.get(id)
    if (upload === undefined) throw new DistributionError(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload')
    return upload
  }

  async #forgetIdle(): Promise<void> {
    const limit = this.clock.monotonic() - UPLOAD_IDLE_MS
    for (const [id, upload] of this.#uploads) {
      if (!upload.isBusy && upload.lastUsedAt < limit) await this.cancel(id)
    }
  }

  #pathOf(digest: Digest): string {
    return `${this.#blobs}/${parseDigest(digest).slice('sha256:'.length)}`
  }
}

/** A part of a stream, which is opened when somebody reads; all of it without a range. */
async function* rangeOf(open: () => Promise<Readable>, range?: { start: number; end: number }): AsyncGenerator<Buffer> {
  let at = 0
  for await (const chunk of (await open()) as AsyncIterable<Buffer>) {
    const part =
      range === undefined ? chunk : chunk.subarray(Math.max(0, range.start - at), Math.max(0, range.end + 1 - at))
    at += chunk.length
    if (part.length > 0) yield part
    if (range !== undefined && at > range.end) return
  }
}

/** Makes a file, or the names in a folder, survive a power cut. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
