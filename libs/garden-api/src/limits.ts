import type { Limits, LiveLimits } from './types.js'

/** The limits after a change: what it names replaces what there was, 0 lifts, the rest stays. Pure. */
export function mergeLimits(present: Limits, change: LiveLimits): Limits {
  const merged: Limits = { ...present }
  if (change.memory !== undefined) merged.memory = { ...change.memory }
  if (change.pids !== undefined) merged.pids = { ...change.pids }
  if (change.bandwidth !== undefined) merged.bandwidth = { ...change.bandwidth }
  if (change.cpu !== undefined) merged.cpu = { ...present.cpu, ...change.cpu }
  if (change.io !== undefined) merged.io = { ...present.io, ...change.io }
  return merged
}
