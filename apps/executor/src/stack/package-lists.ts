import { mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { runStackTool, type StackTools } from './stack-tool.js'
import { untilAborted } from './until-aborted.js'

const TIMEOUT_MS = 180_000

export type ListsState =
  | { kind: 'kept' }
  | { kind: 'fetched' }
  /** No archive answered; what there is, is that old. */
  | { kind: 'stale'; days: number }

/**
 * Debian's package lists of each stack, below the cache that the host's homes share: fetched when a build first asks for them, and
 * again when they are older than a day. Builds see the folder, and in it `current` with what was put there last.
 */
export class PackageLists {
  readonly #tools: StackTools
  readonly #running = new Map<string, Promise<ListsState>>()
  readonly #outdated = new Set<string>()

  constructor(tools: StackTools) {
    this.#tools = tools
  }

  /** The folder a build container shows; there may be nothing in it yet. */
  async folder(stack: string): Promise<string> {
    const folder = join(this.#tools.cache, 'apt', stack)
    await mkdir(folder, { recursive: true, mode: 0o755 })
    return folder
  }

  /** Where apt's own configuration for a stack lies, `apt.conf` and `sources.list.d/`; null while there is none. */
  async configuration(stack: string): Promise<string | null> {
    return realpath(join(this.#tools.cache, 'apt', stack, 'current')).catch(() => null)
  }

  /** Makes sure that there are lists. `signal` ends only the waiting: others may wait for the same. @throws StackFailed */
  async provide(stack: string, signal: AbortSignal): Promise<ListsState> {
    const running = this.#running.get(stack) ?? this.#fetch(stack)
    return await untilAborted(running, signal)
  }

  /** The archive no longer has what the lists of a stack name: they are fetched anew before the next build that asks for them. */
  outdate(stack: string): void {
    this.#outdated.add(stack)
  }

  #fetch(stack: string): Promise<ListsState> {
    const args = this.#outdated.delete(stack) ? [stack, '--anew'] : [stack]
    const fetching = runStackTool(this.#tools, 'package-lists.sh', args, { timeoutMs: TIMEOUT_MS }).then(stateOf)
    this.#running.set(stack, fetching)
    const forget = (): void => void this.#running.delete(stack)
    fetching.then(forget, forget)
    return fetching
  }
}

function stateOf(said: string): ListsState {
  const [kind, days] = said.split(' ')
  if (kind === 'stale') return { kind, days: Number(days) }
  return { kind: kind === 'fetched' ? 'fetched' : 'kept' }
}
