import { createWriteStream } from 'node:fs'
import { chmod, lchown, link, lstat, lutimes, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Transform, type Readable, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract, type Extract, type Header } from 'tar-stream'
import { OciError } from './errors.js'
import { LAYER_MTIME_SECONDS } from './layer-tar.js'
import { mediaTypes } from './media-types.js'
import { ZstdFrames } from './zstd-frames.js'

export interface UnpackLimits {
  entries: number
  /** Of the tar, its headers included. */
  bytes: number
}
export const defaultUnpackLimits: UnpackLimits = { entries: 1_000_000, bytes: 8 * 1024 ** 3 }

/** A layer that unpacks to more than so many times its blob is a bomb, unless it is small. */
const MAX_RATIO = 200
const SMALL_BYTES = 256 * 1024 * 1024

/** The limits of a layer whose blob has so many bytes. Pure. */
export function unpackLimitsOf(blobBytes: number): UnpackLimits {
  const bytes = Math.min(defaultUnpackLimits.bytes, Math.max(SMALL_BYTES, blobBytes * MAX_RATIO))
  return { ...defaultUnpackLimits, bytes }
}

/** What a layer hides of the layers below it, by paths from the root. */
export interface LayerMarks {
  /** Names that are gone. */
  whiteouts: readonly string[]
  /** Directories of which nothing shows from below. */
  opaque: readonly string[]
}

/** The stream that turns a blob of the media type into a tar. @throws OciError for a media type Croft does not read */
export function decompressor(mediaType: string): Transform {
  switch (mediaType) {
    case mediaTypes.layerZstd:
      return new ZstdFrames()
    case mediaTypes.layerGzip:
    case mediaTypes.dockerLayerGzip:
      return createGunzip()
    case mediaTypes.layerTar:
      return new PassThrough()
    default:
      throw new OciError(`cannot read layers of type ${mediaType}`)
  }
}

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'

/** The path of an entry below the root as its parts. @throws OciError for a name that leaves the root or is a whiteout. Pure. */
export function safeParts(name: string): string[] {
  if (name.includes('\0') || name.length > 4096) throw new OciError('a layer holds an impossible name')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  for (const part of parts) {
    if (part === '..') throw new OciError('a layer reaches out of its tree', name)
    if (part.startsWith(WHITEOUT)) throw new OciError('a layer holds a whiteout where none may be', name)
    if (Buffer.byteLength(part) > 255) throw new OciError('a layer holds a name that is too long', name.slice(0, 80))
  }
  return parts
}

/** What a whiteout names: the entry that is gone, or (null) all of its directory. @throws OciError for a name that is neither. Pure. */
export function whiteoutOf(base: string): string | null {
  if (base === OPAQUE) return null
  const name = base.slice(WHITEOUT.length)
  if (name === '' || name === '.' || name === '..' || name.startsWith(WHITEOUT)) {
    throw new OciError('a layer holds a whiteout of nothing', base.slice(0, 80))
  }
  return name
}

/**
 * Unpacks the tar of one layer into the empty directory `root`. Nothing outside of `root` is touched, whatever the tar says: no
 * symlink is followed, hard links only reach files unpacked before, devices and pipes are refused, set-uid bits dropped. What it
 * hides of other layers is told to `onMarks` before directories get their times; without it whiteouts are refused (Croft's own
 * layers are written from merged trees and hold none).
 * @throws OciError
 */
export async function unpackLayer(
  tar: Readable,
  root: string,
  limits = defaultUnpackLimits,
  onMarks?: (marks: LayerMarks) => Promise<void>,
): Promise<{ bytes: number }> {
  const stop = new AbortController() // a tar that ends early does not end the file being written from it
  const unpacker = new Unpacker(root, limits, stop.signal, onMarks !== undefined)
  const reader = extract()
  const consumed = (async () => {
    for await (const entry of reader) {
      await unpacker.entry(entry.header, entry)
    }
  })()
  const fed = pipeline(tar, new LimitStream(limits.bytes), reader)
  let cause: unknown
  const onFailure = (error: unknown): void => {
    cause ??= error // what fails first brings the other side down
    stop.abort(error)
  }
  await Promise.all([consumed.catch(onFailure), fed.catch(onFailure)])
  if (cause !== undefined) throw asOciError(cause)
  const marks = unpacker.marks()
  if (marks.whiteouts.length + marks.opaque.length > 0) await onMarks?.(marks)
  await unpacker.finish()
  return { bytes: unpacker.bytes }
}

function asOciError(error: unknown): Error {
  return error instanceof OciError ? error : new OciError('a layer could not be unpacked', String(error), error)
}

/** Passes so many bytes on and then fails. */
export class LimitStream extends Transform {
  #bytes = 0
  constructor(readonly limitBytes: number) {
    super()
  }
  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.limitBytes) done(new OciError(`a layer has more than ${this.limitBytes} bytes`))
    else done(null, chunk)
  }
}

/** Whether a path lies in one of these directories, at any depth. */
function isBelow(path: string, directories: ReadonlySet<string>): boolean {
  const parts = path.split('/')
  return parts.some((_part, depth) => directories.has(parts.slice(0, depth).join('/')))
}

type Content = Extract extends AsyncIterable<infer S> ? S : never

class Unpacker {
  bytes = 0
  #entries = 0
  readonly #directories = new Map<string, { uid: number; gid: number; mode: number }>()
  readonly #files = new Set<string>()
  readonly #others = new Set<string>()
  readonly #whiteouts = new Set<string>()
  readonly #opaque = new Set<string>()

  constructor(
    readonly root: string,
    readonly limits: UnpackLimits,
    readonly signal: AbortSignal,
    readonly mayHide: boolean,
  ) {}

  async entry(header: Header, content: Content): Promise<void> {
    this.#entries += 1
    if (this.#entries > this.limits.entries) throw new OciError(`a layer has more than ${this.limits.entries} entries`)
    this.bytes += header.size ?? 0
    if (this.bytes > this.limits.bytes) throw new OciError(`a layer has more than ${this.limits.bytes} bytes`)
    const base = header.name.slice(header.name.lastIndexOf('/') + 1)
    if (this.mayHide && base.startsWith(WHITEOUT)) {
      await this.#hide(header, base)
      content.resume()
      return
    }
    const parts = safeParts(header.name)
    const path = join(this.root, ...parts)
    const uid = header.uid ?? 0
    const gid = header.gid ?? 0
    const mode = (header.mode ?? 0o644) & (header.type === 'directory' ? 0o1777 : 0o777)
    if (parts.length > 0) await this.#parents(parts)
    switch (header.type) {
      case 'directory':
        await this.#directory(parts, { uid, gid, mode })
        break
      case 'file':
      case 'contiguous-file': {
        await pipeline(content, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal: this.signal })
        await lchown(path, uid, gid)
        await chmod(path, mode)
        await lutimes(path, LAYER_MTIME_SECONDS, LAYER_MTIME_SECONDS)
        this.#files.add(parts.join('/'))
        return
      }
      case 'symlink':
        this.#others.add(parts.join('/'))
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

  async #hide(header: Header, base: string): Promise<void> {
    if (header.type !== 'file' && header.type !== 'contiguous-file') {
      throw new OciError('a layer holds a whiteout that is no file', header.name)
    }
    const parent = safeParts(header.name.slice(0, header.name.length - base.length))
    const name = whiteoutOf(base)
    await this.#parents([...parent, ''])
    if (name === null) this.#opaque.add(parent.join('/'))
    else this.#whiteouts.add([...parent, ...safeParts(name)].join('/'))
  }

  /** What is hidden below this layer. A name that the layer has itself stays: whiteouts are about the layers below. */
  marks(): LayerMarks {
    const opaque = new Set(this.#opaque)
    const whiteouts: string[] = []
    for (const path of this.#whiteouts) {
      if (this.#directories.has(path)) opaque.add(path)
      else if (!this.#files.has(path) && !this.#others.has(path)) whiteouts.push(path)
    }
    return { whiteouts: whiteouts.filter((path) => !isBelow(path, opaque)), opaque: [...opaque] }
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
