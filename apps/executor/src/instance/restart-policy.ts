import { backoffMs } from '@croft/kit'

/** Restarts without a wait before the back-off begins. */
export const IMMEDIATE_RESTARTS = 3
/** After this long of being ready a crash counts as the first again. */
export const HEALTHY_RESET_MS = 5 * 60_000
const FIRST_HOUR_MS = 60 * 60_000
const FIRST_HOUR = { baseMs: 2_000, maxMs: 60_000, jitter: 0.2 }
const LATER = { baseMs: 2_000, maxMs: 5 * 60_000, jitter: 0.2 }

/** What is remembered of the crashes of one instance. */
export interface CrashHistory {
  /** Crashes in a row, without five healthy minutes between them. */
  inARow: number
  /** When the first of them was, ms since the epoch. */
  firstAtMs: number
}

export const NO_CRASHES: CrashHistory = { inARow: 0, firstAtMs: 0 }

export interface RestartDecision {
  history: CrashHistory
  /** 0 = at once. */
  delayMs: number
}

/** When an instance that has just ended starts again. It always does: nobody gives up on it. Pure; `random` is in [0, 1). */
export function decideRestart(
  history: CrashHistory,
  ended: { atMs: number; readyForMs: number },
  random: number,
): RestartDecision {
  const isFresh = history.inARow === 0 || ended.readyForMs >= HEALTHY_RESET_MS
  const next = isFresh
    ? { inARow: 1, firstAtMs: ended.atMs }
    : { inARow: history.inARow + 1, firstAtMs: history.firstAtMs }
  if (next.inARow <= IMMEDIATE_RESTARTS) return { history: next, delayMs: 0 }
  const options = ended.atMs - next.firstAtMs >= FIRST_HOUR_MS ? LATER : FIRST_HOUR
  return { history: next, delayMs: backoffMs(next.inARow - IMMEDIATE_RESTARTS - 1, options, random) }
}
