import { Readable } from 'node:stream'
import { once } from 'node:events'
import { pack, type Pack } from 'tar-stream'
import { startGit } from '../push/git.js'
import type { IsIgnored } from '../push/ignore-file.js'
import { TreeReader, type TreeEntry } from '../push/tree-caps.js'

/** How an entry of a tree becomes an entry of the tar; a submodule has no content. */
const KINDS: Readonly<Record<string, { type: 'file' | 'symlink'; mode: number }>> = {
  '100644': { type: 'file', mode: 0o644 },
  '100755': { type: 'file', mode: 0o755 },
  '120000': { type: 'symlink', mode: 0o777 },
}
/** Every file has the same time, so that equal sources make equal layers. */
const MODIFIED = new Date(Date.UTC(1980, 0, 1, 0, 0, 1))
const MAX_LINK_BYTES = 4_096

/**
 * The files of a tree as a tar stream: from `ls-tree` and `cat-file --batch`, so that no attribute of the pushed tree has a
 * say, and never through a checkout. Blobs are streamed one after the other. The stream fails when git does.
 */
export function sourceTar(repository: string, tree: string, isIgnored: IsIgnored): Readable {
  const tar = pack()
  void fill(tar, repository, tree, isIgnored).catch((error: unknown) =>
    tar.destroy(error instanceof Error ? error : new Error(String(error))),
  )
  return Readable.from(tar, { objectMode: false })
}

async function fill(tar: Pack, repository: string, tree: string, isIgnored: IsIgnored): Promise<void> {
  const blobs = new BlobStream(repository)
  try {
    for await (const entry of entriesOf(repository, tree)) {
      const kind = KINDS[entry.mode]
      const name = entry.path.toString('utf8')
      if (kind === undefined || isIgnored(name, false)) continue
      const header = { name, mode: kind.mode, mtime: MODIFIED, uid: 0, gid: 0 }
      const size = await blobs.next(entry)
      if (kind.type === 'symlink') await addLink(tar, { ...header, type: 'symlink' }, blobs, size)
      else await addFile(tar, { ...header, type: 'file', size }, blobs)
      if (tar.destroyed) return
    }
    tar.finalize()
  } finally {
    blobs.close()
  }
}

async function* entriesOf(repository: string, tree: string): AsyncGenerator<TreeEntry> {
  const child = startGit(repository, ['ls-tree', '-r', '-z', '--full-tree', tree])
  const closed = once(child, 'close') as Promise<[code: number | null]>
  closed.catch(() => undefined)
  child.stdin?.end()
  child.stderr?.resume()
  const reader = new TreeReader()
  try {
    for await (const chunk of child.stdout ?? []) yield* reader.read(chunk as Buffer)
    const [code] = await closed
    if (code !== 0) throw new Error(`git ls-tree ended with ${code}`)
  } finally {
    child.kill('SIGKILL')
  }
}

interface Header {
  name: string
  mode: number
  mtime: Date
  uid: number
  gid: number
}

async function addLink(
  tar: Pack,
  header: Header & { type: 'symlink' },
  blobs: BlobStream,
  size: number,
): Promise<void> {
  if (size > MAX_LINK_BYTES) throw new Error(`${header.name}: the target of a link is ${size} bytes`)
  const target: Buffer[] = []
  for await (const chunk of blobs.read(size)) target.push(chunk)
  tar.entry({ ...header, linkname: Buffer.concat(target).toString('utf8') })
}

async function addFile(tar: Pack, header: Header & { type: 'file'; size: number }, blobs: BlobStream): Promise<void> {
  const sink = tar.entry(header)
  sink.on('error', () => undefined) // the pack says why
  for await (const chunk of blobs.read(header.size)) {
    if (tar.destroyed) return
    if (!sink.write(chunk)) await Promise.race([once(sink, 'drain'), once(tar, 'close')])
  }
  sink.end(undefined)
}

/** Blobs through one `git cat-file --batch`, each as a stream of its exact size. */
class BlobStream {
  readonly #child
  readonly #chunks: AsyncIterator<Buffer>
  #pending: Buffer = Buffer.alloc(0)

  constructor(repository: string) {
    this.#child = startGit(repository, ['cat-file', '--batch'])
    this.#child.on('error', () => undefined)
    this.#child.stdin?.on('error', () => undefined)
    this.#child.stderr?.resume()
    this.#chunks = (this.#child.stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  }

  /** Goes on to a blob and gives its size; the one before must have been read to its end. */
  async next(entry: TreeEntry): Promise<number> {
    this.#child.stdin?.write(`${entry.objectId}\n`)
    const header = await this.#header()
    const [objectId, type, size] = header.split(' ')
    if (objectId !== entry.objectId || type !== 'blob' || size === undefined) throw new Error(`git cat-file: ${header}`)
    return Number(size)
  }

  /** The bytes of the blob that `next` went to. */
  async *read(size: number): AsyncGenerator<Buffer> {
    let left = size
    while (left > 0) {
      if (this.#pending.length === 0) await this.#more()
      const part = this.#pending.subarray(0, left)
      this.#pending = this.#pending.subarray(part.length)
      left -= part.length
      yield part
    }
    if (this.#pending.length === 0) await this.#more()
    this.#pending = this.#pending.subarray(1) // the newline after each object
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }

  async #header(): Promise<string> {
    for (;;) {
      const newline = this.#pending.indexOf(0x0a)
      if (newline >= 0) {
        const header = this.#pending.toString('latin1', 0, newline)
        this.#pending = this.#pending.subarray(newline + 1)
        return header
      }
      await this.#more()
    }
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next()
    if (done === true) throw new Error('git cat-file ended early')
    this.#pending = this.#pending.length === 0 ? value : Buffer.concat([this.#pending, value])
  }
}
