import { availableParallelism } from 'node:os'
import type { Backend } from '../../backend.js'
import type { Metrics } from '../../types.js'
import { metricsToWire } from '../codec/facts.js'
import type { Call } from './call.js'

const BYTES_PER_MB = 1024 * 1024
const perShare = new WeakMap<Backend, number>()

/** Per cent of a core one share is worth: all cores spread over the host's memory in MB, as Garden's default has it. */
async function entitlementPerShare(backend: Backend): Promise<number> {
  const known = perShare.get(backend)
  if (known !== undefined) return known
  const { memoryBytes } = await backend.capacity()
  const value = memoryBytes === 0 ? 0 : (availableParallelism() * 100 * BYTES_PER_MB) / memoryBytes
  perShare.set(backend, value)
  return value
}

/** A container's metrics; those of a sidecar, which no handle finds, without an entitlement. */
export async function metricsAnswer({ backend }: Call, handle: string, metrics: Metrics): Promise<object> {
  try {
    const { cpu } = await (await backend.lookup(handle)).limits()
    const shares = cpu?.weight || cpu?.limitInShares || 0
    return metricsToWire(metrics, shares === 0 ? undefined : { shares, perShare: await entitlementPerShare(backend) })
  } catch {
    return metricsToWire(metrics)
  }
}
