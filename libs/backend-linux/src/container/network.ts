import { netInProblem, refuse, type MappedPort, type NetIn, type NetOutRule } from '@croft/garden-api'
import { networkOf, type Entry, type Host } from '../containerizer/host.js'
import { netOutProblem } from '../networker/net-out.js'

/** What changes of a container's network while it runs. Each change is in the journal before it is in force. */

/** @throws InvalidSpecError, AlreadyInUseError, ServiceUnavailableError */
export async function mapPort(host: Host, entry: Entry, wanted: NetIn): Promise<MappedPort> {
  const { state, handle } = entry
  refuse(netInProblem([...(state.ports ?? []), wanted]))
  const ports = await host.networker.reservePorts(state.slot, [wanted])
  state.ports = [...(state.ports ?? []), ...ports]
  try {
    await host.depot.write(handle, state)
    await host.networker.lead(state.slot, ports)
  } catch (error) {
    state.ports = state.ports.filter((port) => !ports.includes(port))
    await host.networker.releasePorts(state.slot, ports)
    if (state.step === 'created') await host.depot.write(handle, state)
    throw error
  }
  return { ...(ports[0] as MappedPort) }
}

/** @throws InvalidSpecError */
export async function allow(host: Host, entry: Entry, rules: readonly NetOutRule[]): Promise<void> {
  const { state, handle } = entry
  if (rules.length === 0) return
  const added = rules.map((rule) => ({ ...rule }))
  refuse(netOutProblem([...networkOf(entry).rules, ...added]))
  state.netOut = [...(state.netOut ?? []), ...added]
  try {
    await host.depot.write(handle, state)
    await host.networker.allow(state.slot, added)
  } catch (error) {
    state.netOut = state.netOut.filter((rule) => !added.includes(rule))
    if (state.step === 'created') await host.depot.write(handle, state)
    throw error
  }
}
