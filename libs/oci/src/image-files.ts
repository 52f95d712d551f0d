import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import { OciError } from './errors.js'
import type { ReadLimits } from './read-entries.js'
import { decompressor, LimitStream, unpackLimitsOf } from './unpack-layer.js'

/** A layer as it is stored. */
export interface StoredLayer {
  mediaType: string
  /** Of its blob. */
  bytes: number
  open: () => Readable
}

/** What is wanted of a path: its bytes, or only to know that a file is there. */
export type FileWish = 'read' | 'note' | undefined

/** Files by their paths from the root of an image; null where there is one that was only to be noted. */
export type ImageFiles = Map<string, Buffer | null>

/**
 * Files of an image as its uppermost layer has each, from the blobs of its layers (the lowest first), unpacked nowhere. Only what
 * is a file itself counts: a link at a wanted path, or at a folder above it, is followed nowhere and hides what was below.
 * @throws OciError beyond the limits; whatever a broken archive or a blob fails with
 */
export async function readImageFiles(
  layers: readonly StoredLayer[],
  wishOf: (path: string) => FileWish,
  limits: ReadLimits,
  signal: AbortSignal,
): Promise<ImageFiles> {
  const files: ImageFiles = new Map()
  for (const layer of layers) {
    // of each layer as much as of all together: what it replaces does not count, and a database is written anew by many
    const own = await readLayer(layer, files, wishOf, { ...limits }, signal)
    for (const [path, bytes] of own) files.set(path, bytes)
    const read = [...files.values()].filter((bytes) => bytes !== null)
    if (read.length > limits.files || sumOf(read) > limits.bytes) throw new TooMuch()
  }
  return files
}

class TooMuch extends OciError {
  constructor() {
    super('there is more in this image than is read of one')
  }
}

const sumOf = (read: readonly Buffer[]): number => read.reduce((sum, bytes) => sum + bytes.length, 0)

/** The wanted files of one layer; what it hides of `below` is taken out there. */
async function readLayer(
  { mediaType, bytes, open }: StoredLayer,
  below: ImageFiles,
  wishOf: (path: string) => FileWish,
  budget: ReadLimits,
  signal: AbortSignal,
): Promise<ImageFiles> {
  const own: ImageFiles = new Map()
  const tar = extract()
  const flow = pipeline(open(), decompressor(mediaType), new LimitStream(unpackLimitsOf(bytes).bytes), tar, { signal })
  flow.catch(() => undefined) // the loop below fails of it
  const known = withFolders(below.keys())
  for await (const entry of tar) {
    const path = pathOf(entry.header)
    if (path === null) {
      entry.resume()
      continue
    }
    const hidden = hiddenBy(path, entry.header)
    if (known.has(hidden.path)) hide(below, hidden)
    const wish = isWhiteout(path) ? undefined : wishOf(path)
    if (wish === undefined) {
      entry.resume()
      continue
    }
    own.delete(path)
    if (entry.header.type === 'file')
      own.set(path, wish === 'note' ? null : await contentOf(entry, entry.header, budget))
    entry.resume()
  }
  await flow
  return own
}

/** From the root, without slashes around it; null for the root, and for what is nowhere in it. */
function pathOf({ name }: Header): string | null {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  return parts.length === 0 || parts.includes('..') ? null : parts.join('/')
}

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'

const isWhiteout = (path: string): boolean => path.slice(path.lastIndexOf('/') + 1).startsWith(WHITEOUT)

interface Hidden {
  path: string
  /** A folder shows what is in it below, and takes the place of a file; nothing is below a file. */
  what: 'all' | 'itself' | 'content'
}

/** What an entry hides of the layers below it. */
function hiddenBy(path: string, { type }: Header): Hidden {
  const slash = path.lastIndexOf('/')
  const [folder, base] = [path.slice(0, Math.max(0, slash)), path.slice(slash + 1)]
  if (base === OPAQUE) return { path: folder, what: 'content' }
  if (!base.startsWith(WHITEOUT)) return { path, what: type === 'directory' ? 'itself' : 'all' }
  const name = base.slice(WHITEOUT.length)
  return { path: folder === '' ? name : `${folder}/${name}`, what: 'all' }
}

function hide(files: ImageFiles, { path, what }: Hidden): void {
  const folder = path === '' ? '' : `${path}/`
  for (const one of files.keys()) {
    if (one === path ? what !== 'content' : what !== 'itself' && one.startsWith(folder)) files.delete(one)
  }
}

/** Paths with the folders they are in, and the root. */
function withFolders(paths: Iterable<string>): Set<string> {
  const all = new Set<string>([''])
  for (const path of paths) {
    const parts = path.split('/')
    for (let depth = 1; depth <= parts.length; depth += 1) all.add(parts.slice(0, depth).join('/'))
  }
  return all
}

async function contentOf(entry: AsyncIterable<unknown>, { size }: Header, budget: ReadLimits): Promise<Buffer> {
  budget.bytes -= size
  budget.files -= 1
  if (budget.bytes < 0 || budget.files < 0) throw new TooMuch()
  const chunks: Buffer[] = []
  for await (const chunk of entry) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
