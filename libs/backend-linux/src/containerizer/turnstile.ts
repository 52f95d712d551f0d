/** Lets at most `width` tasks run at once; the others wait in order. */
export class Turnstile {
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(readonly width: number) {}

  async pass<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.width) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running += 1
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }
}
