import { systemClock, type Clock } from './clock.js'

export interface WaitOptions {
  /** What is waited for; named in the error. */
  what: string
  timeoutMs: number
  /** Pause between looks, default 25 ms. */
  everyMs?: number
  clock?: Clock
  signal?: AbortSignal
}

/** Looks until `probe` gives a value other than undefined/false/null, or fails naming what was waited for and the last error. */
export async function waitFor<T>(
  probe: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  options: WaitOptions,
): Promise<T> {
  const clock = options.clock ?? systemClock
  const end = clock.monotonic() + options.timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await probe()
      if (value !== undefined && value !== null && value !== false) return value
      last = undefined
    } catch (error) {
      last = error
    }
    if (clock.monotonic() >= end) {
      throw new Error(`waited ${options.timeoutMs} ms for ${options.what}`, { cause: last })
    }
    await clock.sleep(options.everyMs ?? 25, options.signal)
  }
}
