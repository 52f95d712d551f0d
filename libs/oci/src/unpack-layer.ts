import { createWriteStream } from 'node:fs'
import { chmod, lchown, link, lstat, lutimes, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, type Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { extract, type Extract, type Header } from 'tar-stream'
import { OciError } from './errors.js'
import { LAYER_MTIME_SECONDS } from './layer-tar.js'
import { mediaTypes } from './media-types.js'

export interface UnpackLimits {
  entries: number
  /** Sum of the file contents. */
  bytes: number
}
export const defaultUnpackLimits: UnpackLimits = { entries: 1_000_000, bytes: 8 * 1024 ** 3 }

/** The stream that turns a blob of the media type into a tar. @throws OciError for a media type Croft does not read */
export function decompressor(mediaType: string): Transform {
  switch (mediaType) {
    case mediaTypes.layerZstd:
      return createZstdDecompress()
    case mediaTypes.layerGzip:
      return createGunzip()
    case mediaTypes.layerTar:
      return new PassThrough()
    default:
      throw new OciError(`cannot read layers of type ${mediaType}`)
  }
}

/**
 * The path of an entry below the root as its parts. @throws OciError for a name that leaves the root or is a whiteout
 * (Croft's layers are written from merged trees and hold none). Pure.
 */
export function safeParts(name: string): string[] {
  if (name.includes('\0') || name.length > 4096) throw new OciError('a layer holds an impossible name')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  for (const part of parts) {
    if (part === '..') throw new OciError('a layer reaches out of its tree', name)
    if (part.startsWith('.wh.')) throw new OciError('layers with whiteouts cannot be unpacked', name)
    if (Buffer.byteLength(part) > 255) throw new OciError('a layer holds a name that is too long', name.slice(0, 80))
  }
  return parts
}

/**
 * Unpacks the tar of one layer into the empty directory `root`. Nothing outside of `root` is touched, whatever the tar says: no
 * symlink is followed, hard links only reach files unpacked before, devices and pipes are refused, set-uid bits dropped.
 * @throws OciError
 */
export async function unpackLayer(
  tar: Readable,
  root: string,
  limits = defaultUnpackLimits,
): Promise<{ bytes: number }> {
  const stop = new AbortController() // a tar that ends early does not end the file being written from it
  const unpacker = new Unpacker(root, limits, stop.signal)
  const reader = extract()
  const consumed = (async () => {
    for await (const entry of reader) {
      await unpacker.entry(entry.header, entry)
    }
  })()
  const fed = pipeline(tar, reader)
  let cause: unknown
  const onFailure = (error: unknown): void => {
    cause ??= error // what fails first brings the other side down
    stop.abort(error)
  }
  await Promise.all([consumed.catch(onFailure), fed.catch(onFailure)])
  if (cause !== undefined) throw asOciError(cause)
  await unpacker.finish()
  return { bytes: unpacker.bytes }
}

function asOciError(error: unknown): Error {
  return error instanceof OciError ? error : new OciError('a layer could not be unpacked', String(error), error)
}

type Content = Extract extends AsyncIterable<infer S> ? S : never

class Unpacker {
  bytes = 0
  #entries = 0
  readonly #directories = new Map<string, { uid: number; gid: number; mode: number }>()
  readonly #files = new Set<string>()

  constructor(
    readonly root: string,
    readonly limits: UnpackLimits,
    readonly signal: AbortSignal,
  ) {}

  async entry(header: Header, content: Content): Promise<void> {
    this.#entries += 1
    if (this.#entries > this.limits.entries) throw new OciError(`a layer has more than ${this.limits.entries} entries`)
    const parts = safeParts(header.name)
    const path = join(this.root, ...parts)
    const uid = header.uid ?? 0
    const gid = header.gid ?? 0
    const mode = (header.mode ?? 0o644) & 0o777
    if (parts.length > 0) await this.#parents(parts)
    switch (header.type) {
      case 'directory':
        await this.#directory(parts, { uid, gid, mode })
        break
      case 'file':
      case 'contiguous-file': {
        this.bytes += header.size ?? 0
        if (this.bytes > this.limits.bytes) throw new OciError(`a layer has more than ${this.limits.bytes} bytes`)
        await pipeline(content, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal: this.signal })
        await lchown(path, uid, gid)
        await chmod(path, mode)
        await lutimes(path, LAYER_MTIME_SECONDS, LAYER_MTIME_SECONDS)
        this.#files.add(parts.join('/'))
        return
      }
      case 'symlink':
        await symlink(header.linkname ?? '', path)
        await lchown(path, uid, gid)
        await lutimes(path, LAYER_MTIME_SECONDS, LAYER_MTIME_SECONDS)
        break
      case 'link': {
        const target = safeParts(header.linkname ?? '')
        if (!this.#files.has(target.join('/'))) throw new OciError('a hard link reaches out of its layer', header.name)
        await link(join(this.root, ...target), path)
        this.#files.add(parts.join('/'))
        break
      }
      default:
        throw new OciError(`a layer holds a ${header.type ?? 'nameless thing'}`, header.name)
    }
    content.resume()
  }

  /** Makes the missing parents; every existing one must be a directory that this unpacker made. */
  async #parents(parts: readonly string[]): Promise<void> {
    for (let depth = 1; depth < parts.length; depth += 1) {
      const key = parts.slice(0, depth).join('/')
      if (!this.#directories.has(key)) await this.#directory(parts.slice(0, depth), { uid: 0, gid: 0, mode: 0o755 })
    }
  }

  async #directory(parts: readonly string[], attributes: { uid: number; gid: number; mode: number }): Promise<void> {
    const key = parts.join('/')
    const path = join(this.root, ...parts)
    if (key !== '' && !this.#directories.has(key)) {
      await mkdir(path, { mode: 0o700 }).catch(async (error: unknown) => {
        if (!(await lstat(path)).isDirectory()) throw new OciError('a layer uses a file as a directory', key, error)
      })
    }
    this.#directories.set(key, attributes)
  }

  /** Directories get owner, mode and time last, the deepest first: unpacking into them changes their time. */
  async finish(): Promise<void> {
    const deepestFirst = [...this.#directories].toSorted(([a], [b]) => b.split('/').length - a.split('/').length)
    for (const [key, { uid, gid, mode }] of deepestFirst) {
      const path = join(this.root, key)
      await lchown(path, uid, gid)
      await chmod(path, mode)
      await lutimes(path, LAYER_MTIME_SECONDS, LAYER_MTIME_SECONDS)
    }
    if (!this.#directories.has('')) await lutimes(this.root, LAYER_MTIME_SECONDS, LAYER_MTIME_SECONDS)
  }
}
