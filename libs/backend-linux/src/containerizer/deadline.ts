import { systemClock } from '@croft/kit'

/** A point in time until which something may be waited for. */
export class Deadline {
  readonly #endsAt: number

  constructor(
    private readonly timeoutMs: number,
    private readonly clock = systemClock,
  ) {
    this.#endsAt = clock.monotonic() + timeoutMs
  }

  get leftMs(): number {
    return Math.max(0, this.#endsAt - this.clock.monotonic())
  }

  /** What the promise gives, if that comes in time; after that it goes on by itself. @throws naming what was waited for */
  async within<T>(promise: Promise<T>, what: string): Promise<T> {
    const wake = new AbortController()
    try {
      return await Promise.race([
        promise,
        this.clock.sleep(this.leftMs, wake.signal).then(() => {
          throw new Error(`waited ${this.timeoutMs} ms for ${what}`)
        }),
      ])
    } finally {
      wake.abort()
      promise.catch(() => undefined) // too late to matter: whoever tries again sees what is left
    }
  }
}

/** Waits for all of them, so that none goes on unseen, then throws the first failure there was. */
export async function all<T extends readonly unknown[]>(tasks: {
  [K in keyof T]: Promise<T[K]>
}): Promise<T> {
  const settled = await Promise.allSettled(tasks)
  const failed = settled.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return settled.map((result) => (result as PromiseFulfilledResult<unknown>).value) as unknown as T
}
