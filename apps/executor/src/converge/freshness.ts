/** How long nothing is destroyed after the desired set's history broke (another database, a restored backup). */
export const BREAK_MS = 60_000

/** Which set was seen last, and until when destroying is off. Times are monotonic ms. */
export interface Freshness {
  epoch: string | null
  revision: number
  holdUntilMs: number
}

export const NEVER_SEEN: Freshness = { epoch: null, revision: 0, holdUntilMs: 0 }

/** The freshness after a complete set was read. A new epoch or a revision going backwards holds destruction for `breakMs`. Pure. */
export function observe(
  before: Freshness,
  seen: { epoch: string; revision: number },
  nowMs: number,
  breakMs = BREAK_MS,
): Freshness {
  const isBreak = before.epoch !== null && (seen.epoch !== before.epoch || seen.revision < before.revision)
  return { epoch: seen.epoch, revision: seen.revision, holdUntilMs: isBreak ? nowMs + breakMs : before.holdUntilMs }
}

/** Whether something may be stopped or destroyed now. */
export function mayDestroy(freshness: Freshness, nowMs: number): boolean {
  return freshness.epoch !== null && nowMs >= freshness.holdUntilMs
}
