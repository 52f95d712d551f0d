import { join, posix } from 'node:path'
import { DEFAULT_STAGE_DIR } from '../options.js'
import { hasDisk, type Entry, type Host, type Pea } from './host.js'

/** Where a sidecar ("pea") has what on the host; all of it bears its container's handle or slot. */

export const peasFolder = (host: Host, handle: string): string => join(host.depot.folder(handle), 'peas')

export const peaFolder = (host: Host, handle: string, id: string): string => join(peasFolder(host, handle), id)

export const peaSocket = (host: Host, entry: Pick<Entry, 'state'>, number: number): string =>
  join(host.options.runDir, `${entry.state.slot}.${number}.sock`)

/** No handle begins with a plus sign. */
export const peaRuncId = (entry: Pick<Entry, 'state'>, number: number): string => `+pea-${entry.state.slot}-${number}`

const child = (pea: Pick<Pea, 'state'>): string => `pea-${pea.state.number}`

/** The name of a sidecar's cgroup: beside the container's when it has limits of its own, else inside and bounded by it. */
export function peaGroup(entry: Entry, pea: Pick<Pea, 'state'>): string {
  return pea.state.hasOwnLimits ? ownGroup(entry, pea) : posix.join(entry.handle, child(pea))
}

/** As `peaGroup`, for one with limits of its own. */
export const ownGroup = (entry: Entry, pea: Pick<Pea, 'state'>): string =>
  `_pea-${entry.state.slot}-${pea.state.number}`

export function peaCgroupPath(host: Host, entry: Entry, pea: Pick<Pea, 'state'>): string {
  return pea.state.hasOwnLimits
    ? host.cgroups.pathFor(ownGroup(entry, pea))
    : host.cgroups.pathFor(entry.handle, child(pea))
}

export function peaOomFile(host: Host, entry: Entry, pea: Pick<Pea, 'state'>): string {
  return pea.state.hasOwnLimits
    ? host.cgroups.oomFile(ownGroup(entry, pea))
    : host.cgroups.oomFile(entry.handle, child(pea))
}

export function peaProcesses(host: Host, entry: Entry, pea: Pick<Pea, 'state'>): number[] {
  return pea.state.hasOwnLimits
    ? host.cgroups.processes(ownGroup(entry, pea))
    : host.cgroups.processes(entry.handle, child(pea))
}

/** Where what a sidecar writes lies, as this process reaches it. */
export function peaUpper(host: Host, entry: Entry, pea: Pick<Pea, 'id'>): string {
  if (!hasDisk(entry.spec)) return join(peaFolder(host, entry.handle, pea.id), 'up')
  const stage = host.options.stageDir ?? DEFAULT_STAGE_DIR
  return `/proc/${entry.state.shim?.pid}/root${stage}/disk/peas/${pea.id}/up`
}
