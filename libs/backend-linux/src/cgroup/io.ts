import type { Capabilities, Limits } from '@croft/garden-api'

/** How this host can hold a container's input and output. */
export interface IoControl {
  /** The whole disk containers lie on, as `major:minor`; null when rates cannot be limited. */
  device: string | null
  /** The file that takes a weight; null where the disk's scheduler weighs nothing. */
  weightFile: 'blkio.bfq.weight' | 'io.bfq.weight' | 'io.weight' | null
}

export const NO_IO_CONTROL: IoControl = { device: null, weightFile: null }

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
