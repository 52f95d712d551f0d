import type { Output } from './output.js'

export type StreamName = 'stdout' | 'stderr'

export interface OpenStream {
  handle: string
  processId: string
  outputs: Partial<Record<StreamName, Output>>
}

/** The output streams clients may come for, each under the id that the first payload of its run or attach told. */
export class StreamTable {
  readonly #open = new Map<string, OpenStream>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #lastId = 0

  /** @param keptMs how long a finished stream waits for a client that is late */
  constructor(private readonly keptMs: number) {}

  add(stream: OpenStream): string {
    this.#lastId += 1
    const id = String(this.#lastId)
    this.#open.set(id, stream)
    return id
  }
  find(id: string, handle: string, processId: string): OpenStream | undefined {
    const stream = this.#open.get(id)
    return stream?.handle === handle && stream.processId === processId ? stream : undefined
  }
  /** Its process has ended; whoever comes soon still gets its output. */
  retire(id: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#open.delete(id)
    }, this.keptMs)
    timer.unref()
    this.#timers.add(timer)
  }
  remove(id: string): void {
    this.#open.delete(id)
  }
  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#open.clear()
  }
}
