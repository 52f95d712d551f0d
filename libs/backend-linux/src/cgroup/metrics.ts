import type { Metrics } from '@croft/garden-api'

/** What cgroups tell of a container; pure functions from the files' texts. */
export type CgroupMetrics = Pick<Metrics, 'memory' | 'cpu' | 'pids'>

/** `key value` lines as a record. */
export function keyedNumbers(text: string): Record<string, number> {
  const out: Record<string, number> = {}
  let start = 0
  while (start < text.length) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline
    const space = text.indexOf(' ', start)
    if (space > start && space < end) out[text.slice(start, space)] = Number(text.slice(space + 1, end))
    start = end + 1
  }
  return out
}

/** A limit's number; null for `max` and for the huge number version 1 shows where there is no limit. */
export function limitOf(text: string): number | null {
  const value = Number(text)
  return text.trim() === 'max' || !Number.isFinite(value) || value >= 2 ** 60 ? null : value
}

/**
 * Garden's memory statistics know the names of both versions; what one lacks is said in the other's terms, so that a reader
 * of either finds its numbers. In each pair, the name of version 1 and that of version 2.
 */
const SAME_THING: readonly (readonly [string, string])[] = [
  ['total_rss', 'anon'],
  ['total_cache', 'file'],
  ['total_mapped_file', 'file_mapped'],
  ['total_active_anon', 'active_anon'],
  ['total_inactive_anon', 'inactive_anon'],
  ['total_active_file', 'active_file'],
  ['total_inactive_file', 'inactive_file'],
  ['total_unevictable', 'unevictable'],
  ['total_pgfault', 'pgfault'],
  ['total_pgmajfault', 'pgmajfault'],
]
/** Names of version 1 that have no `total_` and that version 2 has under another name. */
const OWN_NAMES: readonly (readonly [string, string])[] = [
  ['rss', 'anon'],
  ['cache', 'file'],
  ['mapped_file', 'file_mapped'],
]

export interface MemoryFilesV1 {
  stat: string
  limit: string
}

export function memoryV1(files: MemoryFilesV1): Metrics['memory'] {
  const stat = keyedNumbers(files.stat)
  const of = (key: string): number => stat[key] ?? 0
  const toward = of('total_rss') + of('total_cache') + of('total_swap') - of('total_inactive_file')
  for (const [one, two] of SAME_THING) stat[two] ??= of(one)
  stat['swapcached'] ??= 0
  return { usageTowardLimitBytes: Math.max(0, toward), limitBytes: limitOf(files.limit), stat }
}

export interface MemoryFilesV2 {
  stat: string
  limit: string
  /** Empty where the kernel counts no swap. */
  swap: string
}

export function memoryV2(files: MemoryFilesV2): Metrics['memory'] {
  const stat = keyedNumbers(files.stat)
  const of = (key: string): number => stat[key] ?? 0
  const toward = of('anon') + of('file') + of('swapcached') - of('inactive_file')
  const limitBytes = limitOf(files.limit)
  for (const [one, two] of [...SAME_THING, ...OWN_NAMES]) stat[one] ??= of(two)
  stat['swap'] ??= Number(files.swap)
  stat['total_swap'] ??= Number(files.swap)
  if (limitBytes !== null) stat['hierarchical_memory_limit'] ??= limitBytes
  return { usageTowardLimitBytes: Math.max(0, toward), limitBytes, stat }
}

export interface CpuFilesV1 {
  usage: string
  user: string
  system: string
}

export function cpuV1(files: CpuFilesV1): Metrics['cpu'] {
  return {
    usageNs: Number(files.usage),
    userNs: Number(files.user),
    systemNs: Number(files.system),
  }
}

export function cpuV2(text: string): Metrics['cpu'] {
  const stat = keyedNumbers(text)
  return {
    usageNs: (stat['usage_usec'] ?? 0) * 1000,
    userNs: (stat['user_usec'] ?? 0) * 1000,
    systemNs: (stat['system_usec'] ?? 0) * 1000,
  }
}

export function pidsOf(current: string, max: string): Metrics['pids'] {
  return { current: Number(current), max: limitOf(max) }
}

/** What of a version 2 cgroup's memory stays when the kernel takes back all it can. Pure. */
export function unreclaimableBytes(current: string, stat: string): number {
  const of = keyedNumbers(stat)
  const reclaimable = (of['active_file'] ?? 0) + (of['inactive_file'] ?? 0) + (of['slab_reclaimable'] ?? 0)
  return Number(current) - reclaimable
}
