import {
  containerSpecProblem,
  limitProblem as anyLimitProblem,
  processSpecProblem,
  type ContainerSpec,
  type Limits,
  type ProcessSpec,
} from '@croft/garden-api'
import { netOutProblem } from '../networker/net-out.js'
import { MIN_DISK_BYTES } from '../options.js'
import { bandwidthProblem } from '../networker/shaper.js'

/** What this backend cannot make, beyond what none can; null when nothing is wrong. Pure. */

/** Mounted by the platform; a tenant's mount over them, or below, would undo masks and limits. */
const RESERVED_DESTINATIONS = ['/', '/proc', '/sys', '/dev', '/tmp/garden-init', '/etc/hosts', '/etc/resolv.conf']

function destinationProblem({ bindMounts = [] }: Pick<ContainerSpec, 'bindMounts'>): string | null {
  for (const { dstPath } of bindMounts) {
    const at = dstPath.replace(/\/+$/, '') || '/'
    if (RESERVED_DESTINATIONS.some((path) => at === path || (path !== '/' && at.startsWith(`${path}/`))))
      return `nothing can be mounted at ${dstPath}`
  }
  return null
}

/** Of a spec, or of a change. */
export function limitProblem(limits: Limits | undefined): string | null {
  const bandwidth = limits?.bandwidth
  const byteHard = limits?.disk?.byteHard ?? 0
  const any = anyLimitProblem(limits) ?? (bandwidth === undefined ? null : bandwidthProblem(bandwidth))
  if (any !== null || byteHard === 0 || byteHard >= MIN_DISK_BYTES) return any
  return `limits.disk.byteHard is ${byteHard}, the smallest disk has ${MIN_DISK_BYTES} bytes`
}

/** What leaves is shaped inside, where one with privileges could undo it. */
export function bandwidthOfPrivilegedProblem(
  isPrivileged: boolean | undefined,
  limits: Limits | undefined,
): string | null {
  if (isPrivileged !== true || (limits?.bandwidth?.rateBytesPerSecond ?? 0) === 0) return null
  return 'a bandwidth limit cannot be held for a privileged container'
}

export function specProblem(spec: ContainerSpec, mayBePrivileged = false): string | null {
  if (spec.isPrivileged === true && !mayBePrivileged) return 'privileged container creation is disabled'
  return (
    bandwidthOfPrivilegedProblem(spec.isPrivileged, spec.limits) ??
    containerSpecProblem(spec) ??
    destinationProblem(spec) ??
    netOutProblem(spec.netOut ?? []) ??
    limitProblem(spec.limits)
  )
}

export function processProblem(spec: ProcessSpec): string | null {
  return processSpecProblem(spec) ?? destinationProblem(spec)
}
