import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import { FolderPaths, type ArchiveEntry, type Placed } from './folder-path.js'
import { startGit, type GitProcess } from './git.js'
import { PushRefused } from './refusal.js'
import { TarGuard, TarRefused } from './tar-guard.js'

/** Largest archive of a folder, bytes: what a pack may have. */
export const MAX_FOLDER_BYTES = 500 * 1024 * 1024

export interface Author {
  name: string
  /** Since the epoch, ms. */
  nowMs: number
}

/**
 * Writes an archive of a folder into a repository of its own as one commit, which `ref` names afterwards. Nothing of it becomes a
 * file: what it holds goes to `git fast-import` under names that were judged before. @throws PushRefused, or what `tar` fails with
 */
export async function importFolder(
  repository: string,
  tar: Readable,
  { ref, author }: { ref: string; author: Author },
): Promise<void> {
  const reader = extract()
  const fed = pipeline(tar, new TarGuard(MAX_FOLDER_BYTES), reader)
  fed.catch(() => undefined) // the loop below fails of it
  const into = new FastImport(repository)
  try {
    await into.begin(ref, author)
    const paths = new FolderPaths()
    for await (const entry of reader) {
      const placed = paths.place(entryOf(entry.header))
      if (placed.kind === 'refused') throw new PushRefused(placed.refusal)
      await into.add(placed, entry)
      entry.resume()
    }
    await fed
    await into.end()
  } catch (error) {
    throw refusalOf(error)
  } finally {
    into.close()
    reader.destroy()
  }
}

function entryOf({ name, type, linkname, size, mode, pax }: Header): ArchiveEntry {
  return {
    name,
    type: type ?? 'thing',
    linkname: linkname ?? null,
    size: size ?? 0,
    mode: mode ?? 0,
    hasOtherSize: typeof pax === 'object' && pax !== null && 'size' in pax,
  }
}

function refusalOf(error: unknown): unknown {
  const why = error instanceof TarRefused ? error.message : tarError(error)
  if (why === undefined) return error
  return new PushRefused({
    reason: 'folder',
    cause: `the folder cannot be taken: ${why}`,
    suggestion: 'leave out by .dockerignore what the image does not need, and deploy again',
  })
}

/** What the reader says of bytes that are no tar. */
function tarError(error: unknown): string | undefined {
  const text = error instanceof Error ? error.message : ''
  return /^(?:Invalid tar header|Unexpected end of data|Invalid header|Size mismatch)/.test(text)
    ? 'it is no whole archive'
    : undefined
}

/** One `git fast-import` that makes one commit. */
class FastImport {
  readonly #child: GitProcess
  readonly #ended: Promise<number | null>
  #stderr = ''

  constructor(repository: string) {
    const settings = ['pack.compression=1', 'core.bigFileThreshold=32m', 'fastimport.unpackLimit=0']
    this.#child = startGit(repository, [
      ...settings.flatMap((setting) => ['-c', setting]),
      'fast-import',
      '--quiet',
      '--done',
    ])
    this.#ended = new Promise((resolve, reject) => this.#child.on('error', reject).on('close', resolve))
    this.#ended.catch(() => undefined) // awaited at the end
    this.#child.stdin?.on('error', () => undefined) // its exit code says why
    this.#child.stdout?.resume()
    this.#child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.#stderr = `${this.#stderr}${chunk.toString()}`.slice(-2_000)),
    )
  }

  async begin(ref: string, { name, nowMs }: Author): Promise<void> {
    const person = name.replaceAll(/[^\x20-\x7e]|[<>]/g, '?')
    const at = `${Math.floor(nowMs / 1000)} +0000`
    await this.#write(Buffer.from(`commit ${ref}\ncommitter ${person} <> ${at}\ndata 6\nfolder\n`))
  }

  async add(placed: Exclude<Placed, { kind: 'refused' }>, content: AsyncIterable<unknown>): Promise<void> {
    switch (placed.kind) {
      case 'nothing':
        return
      case 'symlink': {
        const target = Buffer.from(placed.target)
        await this.#head('120000', placed.path, target.length)
        return this.#write(Buffer.concat([target, NEWLINE]))
      }
      case 'file':
        await this.#head(placed.isExecutable ? '100755' : '100644', placed.path, placed.size)
        for await (const chunk of content) await this.#write(chunk as Buffer)
        return this.#write(NEWLINE)
    }
  }

  async end(): Promise<void> {
    this.#child.stdin?.end('done\n')
    const code = await this.#ended
    if (code !== 0) throw new Error(`git fast-import ended with ${code}: ${this.#stderr.trim()}`)
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }

  #head(mode: string, path: string, bytes: number): Promise<void> {
    return this.#write(Buffer.from(`M ${mode} inline "${path.replaceAll(/["\\]/g, '\\$&')}"\ndata ${bytes}\n`))
  }

  async #write(bytes: Buffer): Promise<void> {
    const { stdin } = this.#child
    if (stdin === null || !stdin.writable) return this.end()
    if (!stdin.write(bytes)) await Promise.race([once(stdin, 'drain'), this.#ended])
  }
}

const NEWLINE = Buffer.from('\n')
