/** How long to wait before the next try: exponential with a cap and jitter. */
export interface BackoffOptions {
  /** First delay, ms. */
  baseMs: number
  /** Largest delay before jitter, ms. */
  maxMs: number
  /** Share of the delay that is random, 0–1: 0.2 gives ±20 %. */
  jitter: number
}

/** The delay in ms before try number `attempt` (0 = first retry); `random` is in [0, 1). Pure. */
export function backoffMs(attempt: number, options: BackoffOptions, random: number): number {
  const exponential = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(attempt, 30))
  return Math.round(exponential * (1 + options.jitter * (2 * random - 1)))
}
