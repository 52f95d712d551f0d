import type { Capacity, ContainerInfo, Metrics } from '../../types.js'
import { NS_PER_MS, decodeOrRefuse, list, object, text, textMap, uint64, type Decoder } from './fields.js'

/** What a server tells about containers and itself, in Garden's Go-cased names. */

const any: Decoder<number> = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined)
const numberMap: Decoder<Record<string, number>> = (value, path, problems) => {
  if (typeof value !== 'object' || value === null) {
    problems.set(path, 'must be an object')
    return undefined
  }
  const numbers: Record<string, number> = {}
  for (const [name, one] of Object.entries(value)) if (typeof one === 'number') numbers[name] = one
  return numbers
}

export function capacityToWire(capacity: Capacity): Record<string, number> {
  return {
    memory_in_bytes: capacity.memoryBytes,
    disk_in_bytes: capacity.diskBytes,
    schedulable_disk_in_bytes: capacity.schedulableDiskBytes,
    max_containers: capacity.maxContainers,
  }
}

const capacityFields = object({
  memory_in_bytes: uint64,
  disk_in_bytes: uint64,
  schedulable_disk_in_bytes: uint64,
  max_containers: uint64,
})

/** @throws InvalidSpecError */
export function decodeCapacity(json: unknown): Capacity {
  const wire = decodeOrRefuse('capacity', (value, problems) => capacityFields(value, '', problems), json)
  return {
    memoryBytes: wire.memory_in_bytes ?? 0,
    diskBytes: wire.disk_in_bytes ?? 0,
    schedulableDiskBytes: wire.schedulable_disk_in_bytes ?? wire.disk_in_bytes ?? 0,
    maxContainers: wire.max_containers ?? 0,
  }
}

export function infoToWire(info: ContainerInfo): Record<string, unknown> {
  return {
    State: info.state,
    Events: info.events,
    HostIP: info.hostIp,
    ContainerIP: info.containerIp,
    ContainerIPv6: '',
    ExternalIP: info.externalIp,
    ContainerPath: info.containerPath,
    ProcessIDs: info.processIds,
    Properties: info.properties,
    MappedPorts: info.mappedPorts.map((port) => ({ HostPort: port.hostPort, ContainerPort: port.containerPort })),
  }
}

const infoFields = object({
  State: text(),
  Events: list(text()),
  HostIP: text(),
  ContainerIP: text(),
  ExternalIP: text(),
  ContainerPath: text(),
  ProcessIDs: list(text()),
  Properties: textMap,
  MappedPorts: list(object({ HostPort: uint64, ContainerPort: uint64 })),
})

/** @throws InvalidSpecError */
export function decodeInfo(json: unknown): ContainerInfo {
  const wire = decodeOrRefuse('container info', (value, problems) => infoFields(value, '', problems), json)
  return {
    state: wire.State === 'stopped' ? 'stopped' : 'active',
    events: wire.Events ?? [],
    hostIp: wire.HostIP ?? '',
    containerIp: wire.ContainerIP ?? '',
    externalIp: wire.ExternalIP ?? '',
    containerPath: wire.ContainerPath ?? '',
    processIds: wire.ProcessIDs ?? [],
    properties: wire.Properties ?? {},
    mappedPorts: (wire.MappedPorts ?? []).map((port) => ({
      hostPort: port.HostPort ?? 0,
      containerPort: port.ContainerPort ?? 0,
    })),
  }
}

/** Garden's CPU entitlement: the container's share of the machine over its life. Without a share it is entitled to nothing. */
export interface EntitlementOf {
  shares: number
  /** Per cent of a core a share is worth. */
  perShare: number
}

export function metricsToWire(metrics: Metrics, entitlement: EntitlementOf = { shares: 0, perShare: 0 }): object {
  const ageNs = Math.round(metrics.ageMs * NS_PER_MS)
  return {
    MemoryStat: {
      ...metrics.memory.stat,
      ...(metrics.memory.limitBytes !== null && { hierarchical_memory_limit: metrics.memory.limitBytes }),
      TotalUsageTowardLimit: metrics.memory.usageTowardLimitBytes,
    },
    CPUStat: { Usage: metrics.cpu.usageNs, User: metrics.cpu.userNs, System: metrics.cpu.systemNs },
    DiskStat: {
      TotalBytesUsed: metrics.disk.totalBytes,
      TotalInodesUsed: metrics.disk.totalInodes ?? metrics.disk.exclusiveInodes,
      ExclusiveBytesUsed: metrics.disk.exclusiveBytes,
      ExclusiveInodesUsed: metrics.disk.exclusiveInodes,
    },
    NetworkStat:
      metrics.network === null ? null : { RxBytes: metrics.network.rxBytes, TxBytes: metrics.network.txBytes },
    PidStat: { Current: metrics.pids.current, Max: metrics.pids.max ?? 0 },
    Age: ageNs,
    CPUEntitlement: Math.round((entitlement.shares * entitlement.perShare * ageNs) / 100),
  }
}

const metricsFields = object({
  MemoryStat: numberMap,
  CPUStat: object({ Usage: any, User: any, System: any }),
  DiskStat: object({ TotalBytesUsed: any, TotalInodesUsed: any, ExclusiveBytesUsed: any, ExclusiveInodesUsed: any }),
  NetworkStat: object({ RxBytes: any, TxBytes: any }),
  PidStat: object({ Current: any, Max: any }),
  Age: any,
})

/** The kernel's number for "no limit" on cgroup v1, and anything near it. */
const NO_MEMORY_LIMIT_BYTES = 2 ** 62

/** @throws InvalidSpecError */
export function decodeMetrics(json: unknown): Metrics {
  const wire = decodeOrRefuse('metrics', (value, problems) => metricsFields(value, '', problems), json)
  const { MemoryStat: stat = {} } = wire
  const { TotalUsageTowardLimit: usage = 0, hierarchical_memory_limit: limit = 0 } = stat
  delete stat['TotalUsageTowardLimit']
  delete stat['hierarchical_memory_limit']
  return {
    memory: {
      usageTowardLimitBytes: usage,
      limitBytes: limit > 0 && limit < NO_MEMORY_LIMIT_BYTES ? limit : null,
      stat,
    },
    cpu: {
      usageNs: wire.CPUStat?.Usage ?? 0,
      userNs: wire.CPUStat?.User ?? 0,
      systemNs: wire.CPUStat?.System ?? 0,
    },
    disk: {
      totalBytes: wire.DiskStat?.TotalBytesUsed ?? 0,
      exclusiveBytes: wire.DiskStat?.ExclusiveBytesUsed ?? 0,
      exclusiveInodes: wire.DiskStat?.ExclusiveInodesUsed ?? 0,
      totalInodes: wire.DiskStat?.TotalInodesUsed ?? 0,
    },
    network:
      wire.NetworkStat === undefined
        ? null
        : { rxBytes: wire.NetworkStat.RxBytes ?? 0, txBytes: wire.NetworkStat.TxBytes ?? 0 },
    pids: { current: wire.PidStat?.Current ?? 0, max: wire.PidStat?.Max || null },
    ageMs: (wire.Age ?? 0) / NS_PER_MS,
  }
}
