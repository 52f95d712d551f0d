import { messageOf, type Clock, type Logger } from '@croft/kit'
import type { Backend } from '../backend.js'
import { ContainerNotFoundError } from '../errors.js'

/** Longest single sleep: timers count in 31 bits of milliseconds. */
const MAX_SLEEP_MS = 2 ** 31 - 1
/** Least time before a container that could not be destroyed is tried again. */
const RETRY_MS = 1_000

export interface ReaperOptions {
  backend: Backend
  clock: Clock
  logger: Logger
}

/** A container in use, or counting down. */
interface Watched {
  /** Calls under way that name it. */
  calls: number
  /** Stops the countdown; another for each one. */
  countdown: AbortController
}

/**
 * Destroys containers that nobody has used for their grace time (0: never). Stands between a server and its backend: a call
 * that names a handle holds the container while it lasts, and at its end the whole time begins anew; open streams are calls.
 * A lease that has not expired keeps the container however long it is idle. Lists and bulk calls are no use.
 */
export class Reaper {
  readonly #options: ReaperOptions
  readonly #watched = new Map<string, Watched>()

  constructor(options: ReaperOptions) {
    this.#options = options
  }

  /** Starts the time of every container there is; call it once, before anything is served. */
  async start(): Promise<void> {
    for (const container of await this.#options.backend.containers()) this.hold(container.handle)()
  }

  /** A call names the container from now on; call what is returned at its end, once or more. A create ends it when it is made. */
  hold(handle: string): () => void {
    const watched = this.#watched.get(handle) ?? { calls: 0, countdown: new AbortController() }
    this.#watched.set(handle, watched)
    watched.calls += 1
    watched.countdown.abort()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      watched.calls -= 1
      if (watched.calls === 0 && this.#watched.get(handle) === watched) void this.#countDown(handle, watched)
    }
  }

  /** Lets go of every container; none is destroyed any more. */
  close(): void {
    for (const { countdown } of this.#watched.values()) countdown.abort()
    this.#watched.clear()
  }

  /** Never rejects: a container that cannot be destroyed now is so after another grace time, at least RETRY_MS. */
  async #countDown(handle: string, watched: Watched, atLeastMs = 0): Promise<void> {
    const countdown = new AbortController()
    watched.countdown = countdown
    const { backend, clock, logger } = this.#options
    const idleSinceMs = clock.monotonic()
    try {
      const graceTimeMs = await (await backend.lookup(handle)).graceTimeMs()
      if (graceTimeMs > 0) {
        const dueMs = idleSinceMs + Math.max(graceTimeMs, atLeastMs)
        await this.#sleep(dueMs - clock.monotonic(), countdown.signal)
        for (let left = await this.#leasedMs(handle); left > 0; left = await this.#leasedMs(handle))
          await this.#sleep(left, countdown.signal)
        countdown.signal.throwIfAborted()
        logger.info('container-reaped', { handle, graceTimeMs })
        await backend.destroy(handle, { ifExists: true, reason: 'grace-time' })
      }
    } catch (error) {
      if (countdown.signal.aborted) return
      if (!(error instanceof ContainerNotFoundError)) {
        logger.error('container-not-reaped', { handle, why: messageOf(error) })
        return await this.#countDown(handle, watched, RETRY_MS)
      }
    }
    if (!countdown.signal.aborted) this.#watched.delete(handle)
  }

  /** How much longer a lease keeps it. */
  async #leasedMs(handle: string): Promise<number> {
    const { backend, clock } = this.#options
    const lease = await (await backend.lookup(handle)).lease()
    return lease === null ? 0 : lease.expiresAtMs - clock.now()
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const end = clock.monotonic() + ms
    for (let left = ms; left > 0; left = end - clock.monotonic())
      await clock.sleep(Math.min(left, MAX_SLEEP_MS), signal)
  }
}
