import type { Limits } from '@croft/garden-api'
import type { IoControl } from './io.js'

/** One value to write into a file of a container's cgroup. */
export interface LimitWrite {
  controller: 'memory' | 'cpu' | 'pids' | 'io'
  /** `container` holds everything of a container; `main`, below it, its own processes, which see that one's files. */
  group: 'container' | 'main'
  file: string
  value: string
  /** The kernel may lack the file, or the group be not there yet; then it is skipped. */
  isOptional?: boolean
}

export interface LimitTarget {
  version: 1 | 2
  io: IoControl
}

const CPU_PERIOD_US = 100_000
const MIN_SHARES = 2
export const MAX_SHARES = 262_144
/** What the kernel gives a group nobody asked anything for. */
export const DEFAULT_SHARES = 1024
export const DEFAULT_WEIGHT = 100
export const MAX_WEIGHT = 10_000
/** io weights are 1–10000 with 100 in the middle; BFQ of cgroup v1 stops at 1000. */
const MAX_BFQ_WEIGHT = 1000

/** Shares of cgroup v1 (2–262144) as a weight of v2 (1–10000), the mapping every runtime uses. */
export function sharesToWeight(shares: number): number {
  return Math.round(1 + ((shares - MIN_SHARES) * 9999) / (MAX_SHARES - MIN_SHARES))
}

/** The CPU shares a container's limits come to: the weight, else the shares, else the kernel's own number. */
function sharesOf(limits: Limits | undefined): number {
  const asked = limits?.cpu?.weight || limits?.cpu?.limitInShares || 0
  return asked === 0 ? DEFAULT_SHARES : Math.min(MAX_SHARES, Math.max(MIN_SHARES, asked))
}

/**
 * @param present the limit in force, Infinity for none. Version 1 refuses a memory limit above that of memory and swap
 * together, so the order depends on which way it goes.
 */
function memoryWrites(
  version: 1 | 2,
  bytes: number,
  present: number,
  group: LimitWrite['group'],
  isShown: boolean,
): LimitWrite[] {
  const common = { controller: 'memory' as const, group }
  if (version === 2) {
    return [
      {
        ...common,
        file: 'memory.max',
        value: bytes === 0 ? 'max' : String(bytes),
        ...(isShown && { isOptional: true }),
      },
      { ...common, file: 'memory.swap.max', value: bytes === 0 ? 'max' : '0', isOptional: true },
    ]
  }
  const value = bytes === 0 ? '-1' : String(bytes)
  const memory = { ...common, file: 'memory.limit_in_bytes', value, ...(isShown && { isOptional: true }) }
  const withSwap = { ...common, file: 'memory.memsw.limit_in_bytes', value, isOptional: true }
  const isRaised = bytes === 0 || bytes > present
  return isRaised ? [withSwap, memory] : [memory, withSwap]
}

/**
 * The least shares there are make an idle group, where the kernel has such (5.15): whatever is not idle takes the processor from
 * it at once, where a small share only gets less of it. An idle group takes no other shares, so one that lives is made none first.
 */
function sharesWrites(version: 1 | 2, limits: Limits, isLive: boolean): LimitWrite[] {
  const shares = sharesOf(limits)
  const isAsked = (limits.cpu?.weight || limits.cpu?.limitInShares || 0) > 0
  const common = { controller: 'cpu' as const, group: 'container' as const }
  const weight = isAsked ? sharesToWeight(shares) : DEFAULT_WEIGHT
  const [file, value] = version === 1 ? ['cpu.shares', shares] : ['cpu.weight', weight]
  const idle = (is: '0' | '1'): LimitWrite => ({ ...common, file: 'cpu.idle', value: is, isOptional: true })
  return [
    ...(isLive ? [idle('0')] : []),
    { ...common, file, value: String(value) },
    ...(shares === MIN_SHARES ? [idle('1')] : []),
  ]
}

function quotaWrites(version: 1 | 2, millis: number): LimitWrite[] {
  const quota = millis === 0 ? null : Math.max(1000, Math.round((millis * CPU_PERIOD_US) / 1000))
  const common = { controller: 'cpu' as const, group: 'container' as const }
  if (version === 2) return [{ ...common, file: 'cpu.max', value: `${quota ?? 'max'} ${CPU_PERIOD_US}` }]
  return [
    { ...common, file: 'cpu.cfs_period_us', value: String(CPU_PERIOD_US) },
    { ...common, file: 'cpu.cfs_quota_us', value: String(quota ?? -1) },
  ]
}

function ioWeightWrites(io: IoControl, weight: number): LimitWrite[] {
  if (io.weightFile === null) return []
  const common = { controller: 'io' as const, file: io.weightFile }
  if (io.weightFile === 'blkio.bfq.weight') {
    return [{ ...common, group: 'container', value: String(Math.min(MAX_BFQ_WEIGHT, weight || DEFAULT_WEIGHT)) }]
  }
  return [{ ...common, group: 'container', value: `default ${weight || DEFAULT_WEIGHT}` }]
}

function ioRateWrites(
  version: 1 | 2,
  io: IoControl,
  read: number | undefined,
  write: number | undefined,
): LimitWrite[] {
  if (io.device === null) return []
  if (version === 2) {
    const rate = (name: string, bytes: number | undefined): string =>
      bytes === undefined ? '' : ` ${name}=${bytes === 0 ? 'max' : bytes}`
    const value = `${io.device}${rate('rbps', read)}${rate('wbps', write)}`
    return [{ controller: 'io', group: 'container', file: 'io.max', value }]
  }
  /* version 1 looks at the group a process is in, and at no other */
  const rates = [
    ['blkio.throttle.read_bps_device', read],
    ['blkio.throttle.write_bps_device', write],
  ] as const
  return rates.flatMap(([file, bytes]) =>
    bytes === undefined ? [] : [{ controller: 'io', group: 'main', file, value: `${io.device} ${bytes}` } as const],
  )
}

/** What to write, in order, into a new container's cgroup. Pure. */
export function limitWrites(target: LimitTarget, limits: Limits | undefined): LimitWrite[] {
  const { version, io } = target
  const writes: LimitWrite[] = []
  const memory = limits?.memory?.limitBytes ?? 0
  if (memory > 0) writes.push(...memoryWrites(version, memory, Infinity, 'container', false))
  const pids = limits?.pids?.max ?? 0
  if (pids > 0) writes.push({ controller: 'pids', group: 'container', file: 'pids.max', value: String(pids) })
  if (limits !== undefined && (limits.cpu?.weight || limits.cpu?.limitInShares || 0) > 0)
    writes.push(...sharesWrites(version, limits, false))
  const millis = limits?.cpu?.quotaMillis ?? 0
  if (millis > 0) writes.push(...quotaWrites(version, millis))
  if ((limits?.io?.weight ?? 0) > 0) writes.push(...ioWeightWrites(io, limits?.io?.weight ?? 0))
  const read = limits?.io?.readBytesPerSecond || undefined
  const write = limits?.io?.writeBytesPerSecond || undefined
  if (read !== undefined || write !== undefined) writes.push(...ioRateWrites(version, io, read, write))
  return writes
}

/**
 * What to write, in order, to change a running container's limits: only what `change` names, 0 lifts. Pure.
 * @param merged the limits as they will be
 * @param presentMemoryBytes the memory limit in force, Infinity for none
 */
export function changeWrites(
  target: LimitTarget,
  change: Limits,
  merged: Limits,
  presentMemoryBytes: number,
): LimitWrite[] {
  const { version, io } = target
  const writes: LimitWrite[] = []
  if (change.memory !== undefined) {
    const bytes = change.memory.limitBytes
    writes.push(...memoryWrites(version, bytes, presentMemoryBytes, 'container', false))
    writes.push(...memoryWrites(version, bytes, presentMemoryBytes, 'main', true))
  }
  if (change.pids !== undefined) {
    const value = change.pids.max === 0 ? 'max' : String(change.pids.max)
    writes.push({ controller: 'pids', group: 'container', file: 'pids.max', value })
  }
  if (change.cpu?.weight !== undefined || change.cpu?.limitInShares !== undefined)
    writes.push(...sharesWrites(version, merged, true))
  if (change.cpu?.quotaMillis !== undefined) writes.push(...quotaWrites(version, change.cpu.quotaMillis))
  if (change.io?.weight !== undefined) writes.push(...ioWeightWrites(io, change.io.weight))
  const { readBytesPerSecond, writeBytesPerSecond } = change.io ?? {}
  if (readBytesPerSecond !== undefined || writeBytesPerSecond !== undefined)
    writes.push(...ioRateWrites(version, io, readBytesPerSecond, writeBytesPerSecond))
  return writes
}

/** What to write to have a file as it was, from its text before. Pure. */
export function undoValue(write: LimitWrite, before: string): string {
  const lines = before.trim().split('\n')
  if (write.file.endsWith('weight')) return lines[0] ?? ''
  const device = /^(\d+:\d+) /.exec(write.value)?.[1]
  if (device === undefined) return before.trim()
  const line = lines.find((one) => one.startsWith(`${device} `))
  return line ?? (write.file === 'io.max' ? `${device} rbps=max wbps=max` : `${device} 0`)
}
