import { failpoint, messageOf } from '@croft/kit'
import { removeContainer } from './destroy.js'
import type { Entry, Host } from './host.js'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000

/** Why a container goes; `undone`: it was never announced, its making failed. */
export type RemovalReason = 'asked' | 'grace-time' | 'lost' | 'undone'

/**
 * Containers on their way out. A removal is joined by whoever asks for it meanwhile; one that could not be finished in time is
 * taken up again by itself, less and less often, until it is.
 */
export class Removals {
  readonly #running = new Map<string, Promise<void>>()
  readonly #waiting = new Map<string, NodeJS.Timeout>()
  #isClosed = false

  constructor(
    private readonly host: Host,
    /** Told of each container of which nothing is left. */
    private readonly onRemoved: (entry: Entry, reason: RemovalReason) => void,
  ) {}

  /** Removes a container, or joins its removal. @throws DestroyPendingError */
  async remove(entry: Entry, reason: RemovalReason): Promise<void> {
    const running = this.#running.get(entry.handle)
    if (running !== undefined) return await running
    const removal = this.#attempt(entry, reason, FIRST_RETRY_MS)
    this.#running.set(entry.handle, removal)
    await removal
  }

  /** Goes on with a removal that an earlier attempt has left unfinished. */
  resume(entry: Entry): void {
    this.#retryAfter(entry, 'asked', FIRST_RETRY_MS)
  }

  /** Retries no more; what is not finished is for the next daemon. */
  close(): void {
    this.#isClosed = true
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
  }

  async #attempt(entry: Entry, reason: RemovalReason, retryMs: number): Promise<void> {
    const { handle, state } = entry
    clearTimeout(this.#waiting.get(handle))
    this.#waiting.delete(handle)
    try {
      failpoint('container-destroy-asked')
      state.step = 'destroying'
      await this.host.depot.writeDestroying(handle, state)
      await removeContainer(this.host, entry, this.host.options.destroyTimeoutMs)
      this.onRemoved(entry, reason)
    } catch (error) {
      this.host.logger.warn('container-destroy-pending', { handle, why: messageOf(error) })
      this.#retryAfter(entry, reason, retryMs)
      throw error
    } finally {
      this.#running.delete(handle)
    }
  }

  #retryAfter(entry: Entry, reason: RemovalReason, retryMs: number): void {
    if (this.#isClosed) return
    const again = (): void => {
      const removal = this.#attempt(entry, reason, Math.min(LAST_RETRY_MS, retryMs * 2))
      this.#running.set(entry.handle, removal)
      removal.catch(() => undefined) // logged, and taken up again
    }
    clearTimeout(this.#waiting.get(entry.handle))
    this.#waiting.set(entry.handle, setTimeout(again, retryMs).unref())
  }
}
