import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, run } from '@croft/kit'

const SYNC_TIMEOUT_MS = 120_000

/**
 * Unpacked file trees by what they hold, `<folder>/<hex>/`: made once whoever asks, by rename, and never changed. One process
 * at a time uses a folder; a tree that a killed one left half-made is swept away.
 */
export class TreeStore {
  readonly #making = new Map<string, Promise<string>>()

  private constructor(readonly folder: string) {}

  static async open(folder: string): Promise<TreeStore> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    for (const name of await readdir(folder)) {
      if (name.startsWith('.new-')) await rm(join(folder, name), { recursive: true, force: true })
    }
    return new TreeStore(folder)
  }

  /** The tree of a key of hex digits; `fill` makes it in an empty directory when it is not there. */
  async tree(key: string, fill: (dir: string) => Promise<void>): Promise<string> {
    const running = this.#making.get(key)
    if (running !== undefined) return await running
    const making = this.#make(key, fill).finally(() => this.#making.delete(key))
    this.#making.set(key, making)
    return await making
  }

  async #make(key: string, fill: (dir: string) => Promise<void>): Promise<string> {
    const path = join(this.folder, key)
    if (await isThere(path)) return path
    const work = await mkdtemp(join(this.folder, '.new-'))
    try {
      const tree = join(work, 'tree')
      await mkdir(tree, { mode: 0o755 })
      await fill(tree)
      /* after a power cut a tree that is there is whole */
      await run('sync', ['--file-system', this.folder], { timeoutMs: SYNC_TIMEOUT_MS })
      await rename(tree, path)
      return path
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
