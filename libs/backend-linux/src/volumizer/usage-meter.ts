import type { Usage } from './usage.js'

/** A walk this quick is worth waiting for. */
const QUICK_MS = 1
/** Walking takes at most a twentieth of the time. */
const REST_FACTOR = 20
/** A tree that takes longer is walked more often than that, for a number that still means something. */
const MAX_AGE_MS = 10_000

interface Reading {
  usage: Usage
  atMs: number
  tookMs: number
}

/**
 * What containers without a disk of their own hold, by walking their files. A tree that is walked in a millisecond is walked
 * for each answer; a bigger one is told as it was when it was last walked, and walked anew behind the answer, so that no
 * answer waits for more than the first walk. Walking takes no more than 5 % of the time, of half a second and more for one walk
 * more than that.
 */
export class UsageMeter {
  readonly #readings = new Map<string, Reading>()
  readonly #walks = new Map<string, Promise<Reading>>()

  constructor(
    private readonly measure: (path: string) => Promise<Usage>,
    /** Monotonic milliseconds. */
    private readonly now: () => number,
  ) {}

  /** The usage of a folder, and how many ms ago it was that. */
  async read(path: string): Promise<{ usage: Usage; ageMs: number }> {
    const known = this.#readings.get(path)
    if (known === undefined || known.tookMs <= QUICK_MS) {
      const { usage } = await this.#walk(path)
      return { usage, ageMs: 0 }
    }
    const ageMs = this.now() - known.atMs
    if (ageMs >= Math.min(MAX_AGE_MS, known.tookMs * REST_FACTOR)) void this.#walk(path).catch(() => undefined) // the next one waits for it or fails
    return { usage: known.usage, ageMs }
  }

  forget(path: string): void {
    this.#readings.delete(path)
  }

  async #walk(path: string): Promise<Reading> {
    const running = this.#walks.get(path)
    if (running !== undefined) return await running
    const walk = this.#measured(path).finally(() => this.#walks.delete(path))
    this.#walks.set(path, walk)
    return await walk
  }
  async #measured(path: string): Promise<Reading> {
    const startMs = this.now()
    const usage = await this.measure(path)
    const atMs = this.now()
    const reading = { usage, atMs, tookMs: atMs - startMs }
    this.#readings.set(path, reading)
    return reading
  }
}
