import { randomUUID } from 'node:crypto'
import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import type { ProcessInfo } from '@croft/garden-api'
import { readExit, readStarted } from '../shim/logs.js'

/** So many ended processes are remembered, with how they ended and what they printed; those that ended last. */
export const MAX_ENDED = 512
/** On their way off the disk; no process id begins with a dot. */
const GONE = '.gone-'

/**
 * `proc/<id>/`: what is on disk of the processes of one container. What has ended is read once; the rest is looked up at once each
 * time, since it comes from memory sooner than a thread would be found.
 */
export class ProcessFolders {
  readonly #ended = new Map<string, ProcessInfo>()

  constructor(private readonly dir: string) {}

  folder(id: string): string {
    return join(this.dir, id)
  }
  /** All there were and are. */
  list(): ProcessInfo[] {
    return this.#ids().flatMap((id) => this.get(id) ?? [])
  }
  /** Null when it never started. */
  get(id: string): ProcessInfo | null {
    const known = this.#ended.get(id)
    if (known !== undefined) return known
    const started = readStarted(this.folder(id))
    if (started === null) return null
    const { pid, startedAtMs } = started
    const exit = readExit(this.folder(id))
    if (exit === null) return { id, pid, state: 'running', exit, startedAtMs }
    const info: ProcessInfo = { id, pid: null, state: 'exited', exit, startedAtMs }
    this.#ended.set(id, info)
    return info
  }

  /** Makes room for another process of the same id; null when this one has not ended. */
  retire(id: string): { tree: string; putBack: () => void } | null {
    if (this.get(id)?.state !== 'exited') return null
    const tree = join(this.dir, `${GONE}${randomUUID()}`)
    renameSync(this.folder(id), tree)
    this.#ended.delete(id)
    return { tree, putBack: () => renameSync(tree, this.folder(id)) }
  }
  /** Takes out what ended longest ago when that is too many; trees that are left to remove. */
  prune(): string[] {
    const ended = this.list().filter(({ state }) => state === 'exited')
    const newestFirst = ended.toSorted((a, b) => (b.exit?.exitedAtMs ?? 0) - (a.exit?.exitedAtMs ?? 0))
    return newestFirst.slice(MAX_ENDED).flatMap(({ id }) => this.retire(id)?.tree ?? [])
  }

  #ids(): string[] {
    try {
      return readdirSync(this.dir).filter((name) => !name.startsWith('.'))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    }
  }
}
