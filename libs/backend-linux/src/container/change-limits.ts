import { mergeLimits, NotSupportedError, type LiveLimits } from '@croft/garden-api'
import { ioProblem } from '../cgroup/io.js'
import type { Entry, Host } from '../containerizer/host.js'
import { limitProblem, refuse } from '../containerizer/validate.js'

/**
 * Changes limits of a running container, in the kernel and in the journal, or in neither.
 * @throws InvalidSpecError, NotSupportedError, LimitBelowUseError
 */
export async function changeLimits(host: Host, entry: Entry, change: LiveLimits): Promise<void> {
  refuse(limitProblem(change))
  if (change.bandwidth !== undefined) throw new NotSupportedError('changing the bandwidth')
  const io = ioProblem(host.cgroups.io, change.io)
  if (io !== null) throw new NotSupportedError(io)
  const before = entry.state.limits
  const merged = mergeLimits(before ?? entry.spec.limits ?? {}, change)
  const undo = await host.cgroups.change(entry.handle, change, merged)
  try {
    entry.state.limits = merged
    await host.depot.write(entry.handle, entry.state)
  } catch (error) {
    if (before === undefined) delete entry.state.limits
    else entry.state.limits = before
    await undo()
    throw error
  }
  host.events.append({ kind: 'limits-changed', handle: entry.handle, limits: merged })
}
