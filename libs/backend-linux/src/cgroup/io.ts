import type { Capabilities, Limits } from '@croft/garden-api'

/** How this host can hold a container's input and output. */
export interface IoControl {
  /** The whole disk containers lie on, as `major:minor`; null when rates cannot be limited. */
  device: string | null
  /** The file that takes a weight; null where the disk's scheduler weighs nothing. */
  weightFile: 'blkio.bfq.weight' | 'io.bfq.weight' | 'io.weight' | null
}

export const NO_IO_CONTROL: IoControl = { device: null, weightFile: null }

/** What the kernel shows of the disk containers lie on and of a cgroup. */
export interface IoFacts {
  version: 1 | 2
  /** `major:minor` of the disk. */
  disk: string
  /** Text of its `queue/scheduler`. */
  scheduler: string
  /** Names of the files a cgroup has. */
  files: ReadonlySet<string>
  /** Text of `io.cost.qos`; empty where there is none. */
  qos: string
}

/**
 * Rates are held wherever a cgroup takes them; a weight only by a scheduler that weighs: BFQ, or version 2's cost model where somebody
 * enabled it for the disk. mq-deadline, kyber and none take a weight and heed it not. Pure.
 */
export function ioControlOf({ version, disk, scheduler, files, qos }: IoFacts): IoControl {
  const device = files.has(version === 1 ? 'blkio.throttle.read_bps_device' : 'io.max') ? disk : null
  const bfqFile = version === 1 ? 'blkio.bfq.weight' : 'io.bfq.weight'
  if (schedulerOf(scheduler) === 'bfq' && files.has(bfqFile)) return { device, weightFile: bfqFile }
  const isWeighed = version === 2 && files.has('io.weight') && isWeighedByCost(qos, disk)
  return { device, weightFile: isWeighed ? 'io.weight' : null }
}

export function ioCapability(io: IoControl): Capabilities['io'] {
  if (io.weightFile !== null) return 'weight'
  return io.device === null ? 'none' : 'throttle'
}

/** What of the asked I/O limits this host cannot hold; null when it can. Pure. */
export function ioProblem(io: IoControl, asked: Limits['io']): string | null {
  if ((asked?.weight ?? 0) > 0 && io.weightFile === null) return 'an I/O weight'
  const isRated = (asked?.readBytesPerSecond ?? 0) > 0 || (asked?.writeBytesPerSecond ?? 0) > 0
  return isRated && io.device === null ? 'an I/O rate' : null
}

/** The scheduler in force, of the text of `/sys/block/<disk>/queue/scheduler`. Pure. */
export function schedulerOf(text: string): string | null {
  return /\[([^\]]+)\]/.exec(text)?.[1] ?? null
}

/** Whether `io.cost.qos` says that a device is weighed by cost. Pure. */
export function isWeighedByCost(qos: string, device: string): boolean {
  return qos.split('\n').some((line) => line.startsWith(`${device} `) && line.includes('enable=1'))
}

/** The source of the mount that has a device number, of /proc/self/mountinfo. Pure. */
export function mountSource(mountinfo: string, device: string): string | null {
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ')
    if (before?.split(' ')[2] === device) return after?.split(' ')[1] ?? null
  }
  return null
}
