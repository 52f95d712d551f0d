import type { Limits } from '@croft/garden-api'

/** One value to write: a file of a controller's directory. */
export interface LimitWrite {
  controller: 'memory' | 'cpu' | 'pids'
  file: string
  value: string
  /** The kernel may lack it (swap accounting); then it is skipped. */
  isOptional?: boolean
}

const CPU_PERIOD_US = 100_000
const MIN_SHARES = 2
const MAX_SHARES = 262_144

/** Shares of cgroup v1 (2–262144) as a weight of v2 (1–10000), the mapping every runtime uses. */
export function sharesToWeight(shares: number): number {
  return Math.round(1 + ((shares - MIN_SHARES) * 9999) / (MAX_SHARES - MIN_SHARES))
}

/** What to write, in order, into a container's cgroup. Pure. */
export function limitWrites(version: 1 | 2, limits: Limits | undefined): LimitWrite[] {
  const writes: LimitWrite[] = []
  const memory = limits?.memory?.limitBytes ?? 0
  if (memory > 0) {
    const value = String(memory)
    if (version === 1) {
      writes.push({ controller: 'memory', file: 'memory.limit_in_bytes', value })
      writes.push({ controller: 'memory', file: 'memory.memsw.limit_in_bytes', value, isOptional: true })
    } else {
      writes.push({ controller: 'memory', file: 'memory.max', value })
      writes.push({ controller: 'memory', file: 'memory.swap.max', value: '0', isOptional: true })
    }
  }
  const pids = limits?.pids?.max ?? 0
  if (pids > 0) writes.push({ controller: 'pids', file: 'pids.max', value: String(pids) })
  const asked = limits?.cpu?.weight || limits?.cpu?.limitInShares || 0
  if (asked > 0) {
    const shares = Math.min(MAX_SHARES, Math.max(MIN_SHARES, asked))
    if (version === 1) writes.push({ controller: 'cpu', file: 'cpu.shares', value: String(shares) })
    else writes.push({ controller: 'cpu', file: 'cpu.weight', value: String(sharesToWeight(shares)) })
  }
  const millis = limits?.cpu?.quotaMillis ?? 0
  if (millis > 0) {
    const quota = Math.max(1000, Math.round((millis * CPU_PERIOD_US) / 1000))
    if (version === 1) {
      writes.push({ controller: 'cpu', file: 'cpu.cfs_period_us', value: String(CPU_PERIOD_US) })
      writes.push({ controller: 'cpu', file: 'cpu.cfs_quota_us', value: String(quota) })
    } else writes.push({ controller: 'cpu', file: 'cpu.max', value: `${quota} ${CPU_PERIOD_US}` })
  }
  return writes
}
