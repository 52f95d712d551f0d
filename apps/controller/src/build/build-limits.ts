import type { InstanceLimits } from '@croft/protocol'

/** What one build may use, but for its memory (`buildMemoryBytes`). */
export const BUILD_LIMITS: Omit<InstanceLimits, 'memoryBytes'> = {
  /** A fifth of an app's: what it gets of a processor that apps leave nothing of. Where they leave any it has that. */
  cpuShares: 200,
  cpuQuotaMillis: null,
  pids: 512,
  diskBytes: 4 * 1024 ** 3,
}

/** The executor ends a build that takes longer. */
export const BUILD_TIMEOUT_MS = 15 * 60 * 1_000

/** One build at a time for every so many cores. */
const CPU_MILLIS_PER_BUILD = 2_000

/** How many builds may run at once on nodes with these capacities. Pure. */
export function buildSlots(nodes: readonly { cpuMillis: number }[]): number {
  const slots = nodes.reduce((sum, node) => sum + Math.max(1, Math.floor(node.cpuMillis / CPU_MILLIS_PER_BUILD)), 0)
  return Math.max(1, slots)
}
