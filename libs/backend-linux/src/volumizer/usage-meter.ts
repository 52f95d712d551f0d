import type { Usage } from './usage.js'

/** Figures as young as this are as good as new ones. */
const FRESH_MS = 1_000
/** Walking takes at most a twentieth of the time. */
const REST_FACTOR = 20
/** A tree that takes longer is walked more often than that, for a number that still means something. */
const MAX_AGE_MS = 10_000

interface Reading {
  usage: Usage
  atMs: number
  tookMs: number
}

/** How trees are measured. */
export interface Measures {
  /** At once, for a tree of a few files; null for a bigger one. */
  small: (path: string) => Usage | null
  any: (path: string) => Promise<Usage>
  /** Monotonic milliseconds. */
  now: () => number
}

/**
 * What containers without a disk of their own hold, by walking their files. A small tree is walked once a second for its
 * answers; a bigger one is told as it was when it was last walked, and walked anew behind the answer, so that no answer waits for more than the first
 * walk. Walking takes no more than 5 % of the time, more only where a walk takes longer than half a second.
 */
export class UsageMeter {
  readonly #readings = new Map<string, Reading>()
  readonly #walks = new Map<string, Promise<Reading>>()

  constructor(private readonly measures: Measures) {}

  /** The usage of a folder, and how many ms ago it was that. */
  async read(path: string): Promise<{ usage: Usage; ageMs: number }> {
    const known = this.#readings.get(path)
    const ageMs = known === undefined ? Infinity : this.measures.now() - known.atMs
    if (known !== undefined && ageMs < FRESH_MS) return { usage: known.usage, ageMs }
    const small = this.measures.small(path)
    if (small !== null) {
      this.#readings.set(path, { usage: small, atMs: this.measures.now(), tookMs: 0 })
      return { usage: small, ageMs: 0 }
    }
    if (known === undefined) return { usage: (await this.#walk(path)).usage, ageMs: 0 }
    const isOld = ageMs >= Math.min(MAX_AGE_MS, known.tookMs * REST_FACTOR)
    if (isOld) void this.#walk(path).catch(() => undefined) // whoever asks next sees the age
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
    const startMs = this.measures.now()
    const usage = await this.measures.any(path)
    const atMs = this.measures.now()
    const reading = { usage, atMs, tookMs: atMs - startMs }
    this.#readings.set(path, reading)
    return reading
  }
}
