import type { Output } from './output.js'

/** Output of finished processes that nobody has come for, of all together. */
const MAX_RETIRED_BYTES = 64 * 1024 * 1024
const MAX_RETIRED = 10_000

export type StreamName = 'stdout' | 'stderr'

export interface OpenStream {
  handle: string
  processId: string
  outputs: Partial<Record<StreamName, Output>>
}

/** The output streams clients may come for, each under the id that the first payload of its run or attach told. */
export class StreamTable {
  readonly #open = new Map<string, OpenStream>()
  readonly #retired = new Map<string, { timer: NodeJS.Timeout; bytes: number }>()
  #retiredBytes = 0
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
  /** Somebody has come for one of them; a finished stream for whose outputs all came is done with. */
  claimed(id: string): void {
    if (this.#retired.has(id) && this.#isSpent(id)) this.remove(id)
  }
  /** Its process has ended; whoever comes soon still gets its output. The oldest goes when all of it is too much. */
  retire(id: string): void {
    if (this.#isSpent(id)) return this.remove(id)
    const bytes = this.#outputs(id).reduce((sum, output) => sum + output.keptBytes, 0)
    const timer = setTimeout(() => this.remove(id), this.keptMs)
    timer.unref()
    this.#retired.set(id, { timer, bytes })
    this.#retiredBytes += bytes
    for (const oldest of this.#retired.keys()) {
      if (this.#retiredBytes <= MAX_RETIRED_BYTES && this.#retired.size <= MAX_RETIRED) return
      this.remove(oldest)
    }
  }
  #outputs(id: string): Output[] {
    return Object.values(this.#open.get(id)?.outputs ?? {})
  }
  #isSpent(id: string): boolean {
    return this.#outputs(id).every((output) => output.wasClaimed)
  }
  remove(id: string): void {
    const retired = this.#retired.get(id)
    clearTimeout(retired?.timer)
    this.#retiredBytes -= retired?.bytes ?? 0
    this.#retired.delete(id)
    this.#open.delete(id)
  }
  close(): void {
    for (const id of this.#retired.keys()) this.remove(id)
    this.#open.clear()
  }
}
