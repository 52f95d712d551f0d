import { setMaxListeners } from 'node:events'
import { EventsGoneError } from './errors.js'
import type { ContainerEvent, EventPosition } from './types.js'

/** Events kept for those who come back. */
const DEFAULT_KEPT = 10_000

/** An event without what the log adds. */
export type NewEvent = ContainerEvent extends infer One
  ? One extends unknown
    ? Omit<One, 'version' | 'atMs'>
    : never
  : never

export interface EventLogOptions {
  /** Another for each start of the backend: versions are compared only within one. */
  bootId: string
  now: () => number
  /** Default 10,000. */
  kept?: number
}

/** A backend's events: a ring of the newest, numbered from 1. Nobody waits for a reader; a reader that is too slow hears so. */
export class EventLog {
  readonly #options: EventLogOptions
  readonly #kept: ContainerEvent[] = []
  readonly #waiting = new Set<() => void>()
  #version = 0

  constructor(options: EventLogOptions) {
    this.#options = options
  }

  get position(): EventPosition {
    return { bootId: this.#options.bootId, version: this.#version }
  }

  append(event: NewEvent): void {
    this.#version += 1
    this.#kept.push({ ...event, version: this.#version, atMs: this.#options.now() } as ContainerEvent)
    if (this.#kept.length > (this.#options.kept ?? DEFAULT_KEPT)) this.#kept.shift()
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Events after a position until the signal aborts. @throws EventsGoneError */
  async *after(position: EventPosition, signal: AbortSignal): AsyncIterable<ContainerEvent> {
    if (position.bootId !== this.#options.bootId) throw new EventsGoneError()
    setMaxListeners(0, signal)
    let at = position.version
    while (!signal.aborted) {
      const oldest = this.#version - this.#kept.length
      if (at < oldest || at > this.#version) throw new EventsGoneError()
      const next = this.#kept[at - oldest]
      if (next === undefined) {
        await this.#change(signal)
        continue
      }
      at = next.version
      yield next
    }
  }

  async #change(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }
}
