/** One look at a machine and a build on it; its times only grow. */
export interface ProcessorLook {
  /** On the monotonic clock. */
  atMs: number
  /** Processor time of the build. */
  usedMs: number
  /** What all processors together were idle. */
  idleMs: number
}

/** A machine that leaves less of its processors' time than this is busy. */
const BUSY_BELOW = 0.05
/** A build that gets less than this of one processor meanwhile does not get on. */
const STARVED_BELOW = 0.1

/** Whether the build got next to nothing between two looks, on a machine that had next to nothing left. Pure. */
export function isStarved(before: ProcessorLook, now: ProcessorLook, processors: number): boolean {
  const wallMs = now.atMs - before.atMs
  if (wallMs <= 0) return false
  const isBusy = now.idleMs - before.idleMs < wallMs * processors * BUSY_BELOW
  return isBusy && now.usedMs - before.usedMs < wallMs * STARVED_BELOW
}
