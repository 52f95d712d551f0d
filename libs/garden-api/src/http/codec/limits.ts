import type { Limits, LiveLimits } from '../../types.js'
import { compact, decodeOrRefuse, integer, object, oneOf, uint64, type Decoded } from './fields.js'

/** Limits on the wire; 0 and absence are the same, except in a change, where 0 lifts. */

const SCOPES = ['total', 'exclusive'] as const

const bandwidthFields = { rate: uint64, burst: uint64 }
const cpuFields = { weight: uint64, limit_in_shares: uint64, quota_millis: uint64 }
const diskFields = {
  inode_soft: uint64,
  inode_hard: uint64,
  byte_soft: uint64,
  byte_hard: uint64,
  scope: oneOf(SCOPES),
}
const memoryFields = { limit_in_bytes: uint64 }
const pidFields = { max: uint64 }
const ioFields = {
  weight: integer(0, 10_000),
  read_bytes_per_second: uint64,
  write_bytes_per_second: uint64,
}

export const cpuLimits = object(cpuFields)
export const memoryLimits = object(memoryFields)

const liveFields = {
  bandwidth_limits: object(bandwidthFields),
  cpu_limits: cpuLimits,
  memory_limits: memoryLimits,
  pid_limits: object(pidFields),
  io_limits: object(ioFields),
}

export const limits = object({ ...liveFields, disk_limits: object(diskFields) })
type WireLimits = NonNullable<ReturnType<typeof limits>>
const liveLimits = object(liveFields)

const isEmpty = (value: object): boolean => Object.keys(value).length === 0
const orAbsent = <T extends object>(value: T): T | undefined => (isEmpty(value) ? undefined : value)

function cpuFromWire(wire: Decoded<typeof cpuFields>): NonNullable<Limits['cpu']> {
  return compact({ weight: wire.weight, limitInShares: wire.limit_in_shares, quotaMillis: wire.quota_millis })
}
function ioFromWire(wire: Decoded<typeof ioFields>): NonNullable<Limits['io']> {
  return compact({
    weight: wire.weight,
    readBytesPerSecond: wire.read_bytes_per_second,
    writeBytesPerSecond: wire.write_bytes_per_second,
  })
}

/** A change keeps zeros, since they lift a limit. */
function liveFromWire(wire: NonNullable<ReturnType<typeof liveLimits>>): LiveLimits {
  const { bandwidth_limits: bandwidth, cpu_limits: cpu, memory_limits: memory, pid_limits: pids, io_limits: io } = wire
  return compact({
    memory: memory?.limit_in_bytes === undefined ? undefined : { limitBytes: memory.limit_in_bytes },
    cpu: cpu === undefined ? undefined : orAbsent(cpuFromWire(cpu)),
    pids: pids?.max === undefined ? undefined : { max: pids.max },
    bandwidth:
      bandwidth === undefined || isEmpty(bandwidth)
        ? undefined
        : { rateBytesPerSecond: bandwidth.rate ?? 0, burstBytes: bandwidth.burst ?? 0 },
    io: io === undefined ? undefined : orAbsent(ioFromWire(io)),
  })
}

/** Without the limits that limit nothing. */
export function limitsFromWire(wire: WireLimits): Limits {
  const live = liveFromWire(wire)
  const disk = wire.disk_limits ?? {}
  const byteHard = disk.byte_hard || disk.byte_soft || undefined
  const inodeHard = disk.inode_hard || disk.inode_soft || undefined
  const nonZero = <T extends object>(value: T | undefined): T | undefined =>
    value === undefined
      ? undefined
      : (orAbsent(Object.fromEntries(Object.entries(value).filter(([, n]) => n !== 0))) as T)
  return compact({
    memory: nonZero(live.memory),
    cpu: nonZero(live.cpu),
    pids: nonZero(live.pids),
    disk:
      byteHard === undefined && inodeHard === undefined
        ? undefined
        : compact({ byteHard, inodeHard, scope: disk.scope }),
    bandwidth: (live.bandwidth?.rateBytesPerSecond ?? 0) > 0 ? live.bandwidth : undefined,
    io: nonZero(live.io),
  })
}

/** @throws InvalidSpecError */
export function decodeLimits(json: unknown): Limits {
  return limitsFromWire(decodeOrRefuse('limits', (value, problems) => limits(value, '', problems), json))
}

/** What `PATCH …/limits` asks for. @throws InvalidSpecError, also for limits that cannot change */
export function decodeLiveLimits(json: unknown): LiveLimits {
  return liveFromWire(
    decodeOrRefuse(
      'limits',
      (value, problems) => {
        const all = limits(value, '', problems)
        if (all?.disk_limits !== undefined && !isEmpty(all.disk_limits))
          problems.set('disk_limits', 'cannot change while the container lives')
        return liveLimits(value, '', problems)
      },
      json,
    ),
  )
}

export function limitsToWire(value: Limits): Record<string, unknown> {
  const { memory, cpu, pids, disk, bandwidth, io } = value
  return {
    bandwidth_limits: bandwidthToWire(bandwidth),
    cpu_limits: cpu === undefined ? {} : cpuToWire(cpu),
    disk_limits: disk === undefined ? {} : diskToWire(disk),
    memory_limits: memory === undefined ? {} : { limit_in_bytes: memory.limitBytes },
    pid_limits: pids === undefined ? {} : { max: pids.max },
    ...(io !== undefined && {
      io_limits: compact({
        weight: io.weight,
        read_bytes_per_second: io.readBytesPerSecond,
        write_bytes_per_second: io.writeBytesPerSecond,
      }),
    }),
  }
}

export function bandwidthToWire(bandwidth: Limits['bandwidth']): Record<string, unknown> {
  return bandwidth === undefined ? {} : { rate: bandwidth.rateBytesPerSecond, burst: bandwidth.burstBytes }
}
export function cpuToWire(cpu: NonNullable<Limits['cpu']>): Record<string, unknown> {
  return compact({ weight: cpu.weight, limit_in_shares: cpu.limitInShares, quota_millis: cpu.quotaMillis })
}
export function diskToWire(disk: NonNullable<Limits['disk']>): Record<string, unknown> {
  return compact({
    inode_hard: disk.inodeHard,
    byte_hard: disk.byteHard,
    scope: disk.scope === undefined ? undefined : SCOPES.indexOf(disk.scope),
  })
}

/** Garden's four questions for one kind of limit each, answered with every field, 0 for none. */
export const ONE_LIMIT = {
  bandwidth: ({ bandwidth }: Limits) => ({
    rate: bandwidth?.rateBytesPerSecond ?? 0,
    burst: bandwidth?.burstBytes ?? 0,
  }),
  cpu: ({ cpu }: Limits) => ({ weight: cpu?.weight ?? 0, limit_in_shares: cpu?.limitInShares ?? 0 }),
  disk: ({ disk }: Limits) => ({
    inode_soft: 0,
    inode_hard: disk?.inodeHard ?? 0,
    byte_soft: 0,
    byte_hard: disk?.byteHard ?? 0,
    scope: SCOPES.indexOf(disk?.scope ?? 'total'),
  }),
  memory: ({ memory }: Limits) => ({ limit_in_bytes: memory?.limitBytes ?? 0 }),
} as const
