import { netInProblem, refuse, type MappedPort, type NetIn, type NetOutRule } from '@croft/garden-api'
import { networkOf, type Entry, type Host } from '../containerizer/host.js'
import { netOutProblem } from '../networker/net-out.js'

/** What changes of a container's network while it runs. Each change is in the journal before it is in force. */

/** @throws InvalidSpecError, AlreadyInUseError, ServiceUnavailableError */
export async function mapPort(host: Host, entry: Entry, wanted: NetIn): Promise<MappedPort> {
  const { state, handle } = entry
  refuse(netInProblem([...(state.ports ?? []), wanted]))
  const [port] = await host.networker.reservePorts(state.slot, [wanted])
  if (port === undefined) throw new Error('a port was asked for and none given')
  try {
    await host.depot.change(handle, state, ({ ports = [] }) => ({ ports: [...ports, port] }))
    await host.networker.lead(state.slot, [port])
  } catch (error) {
    await host.networker.releasePorts(state.slot, [port])
    if (state.step === 'created')
      await host.depot.change(handle, state, ({ ports = [] }) => ({ ports: ports.filter((one) => one !== port) }))
    throw error
  }
  return { ...port }
}

/** @throws InvalidSpecError */
export async function allow(host: Host, entry: Entry, rules: readonly NetOutRule[]): Promise<void> {
  const { state, handle } = entry
  if (rules.length === 0) return
  const added = rules.map((rule) => ({ ...rule }))
  refuse(netOutProblem([...networkOf(host, entry).rules, ...added]))
  await host.depot.change(handle, state, ({ netOut = [] }) => ({ netOut: [...netOut, ...added] }))
  try {
    await host.networker.allow(state.slot, added)
  } catch (error) {
    if (state.step === 'created')
      await host.depot.change(handle, state, ({ netOut = [] }) => ({
        netOut: netOut.filter((rule) => !added.includes(rule)),
      }))
    throw error
  }
}
