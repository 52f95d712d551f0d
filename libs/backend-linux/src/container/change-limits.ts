import { mergeLimits, NotSupportedError, refuse, type Limits, type LiveLimits } from '@croft/garden-api'
import { ioProblem } from '../cgroup/io.js'
import { refuseBandwidth } from '../containerizer/allocate.js'
import type { Entry, Host } from '../containerizer/host.js'
import { bandwidthOfPrivilegedProblem, limitProblem } from '../containerizer/validate.js'

/**
 * Changes limits of a running container, in the kernel and in the journal, or in neither.
 * @throws InvalidSpecError, NotSupportedError, LimitBelowUseError
 */
export async function changeLimits(host: Host, entry: Entry, change: LiveLimits): Promise<void> {
  refuse(limitProblem(change) ?? bandwidthOfPrivilegedProblem(entry.spec.isPrivileged, change))
  await refuseBandwidth(host, change)
  const io = ioProblem(host.cgroups.io, change.io)
  if (io !== null) throw new NotSupportedError(io)
  const before = entry.state.limits
  const merged = mergeLimits(before ?? entry.spec.limits ?? {}, change)
  const undo = await host.cgroups.change(entry.handle, change, merged)
  try {
    if (change.bandwidth !== undefined) await setBandwidth(host, entry, change.bandwidth)
    entry.state.limits = merged
    await host.depot.write(entry.handle, entry.state)
  } catch (error) {
    if (before === undefined) delete entry.state.limits
    else entry.state.limits = before
    await undo()
    if (change.bandwidth !== undefined) await setBandwidth(host, entry, (before ?? entry.spec.limits)?.bandwidth)
    throw error
  }
  host.events.append({ kind: 'limits-changed', handle: entry.handle, limits: merged })
}

async function setBandwidth(host: Host, { state }: Entry, bandwidth: Limits['bandwidth']): Promise<void> {
  if (state.init !== null) await host.networker.setBandwidth(state.slot, state.init.pid, bandwidth)
}
