import { LifecycleError } from './errors.js'
import type { BuildpackToml } from './formats/buildpack-toml.js'
import type { Order, OrderEntry } from './formats/order-toml.js'

/** One buildpack of a candidate group. */
export interface GroupEntry {
  id: string
  version: string
  isOptional: boolean
}

/** Finds a buildpack by id and version; without a version the only one there is. */
export type BuildpackLookup = (id: string, version: string | undefined) => BuildpackToml | undefined

/**
 * The flat groups an order stands for, best first: a composite entry is replaced by each of its groups in turn, the rest of the
 * outer group appended; an id already in the group is skipped; an optional composite is also tried left out. Pure.
 * @throws LifecycleError for a buildpack that is not there
 */
export function expandOrder(order: Order, lookup: BuildpackLookup): GroupEntry[][] {
  return order.flatMap(({ group }) => expandGroup(group, [], lookup))
}

function expandGroup(
  entries: readonly OrderEntry[],
  done: readonly GroupEntry[],
  lookup: BuildpackLookup,
): GroupEntry[][] {
  const [entry, ...rest] = entries
  if (entry === undefined) return [[...done]]
  if (done.some(({ id }) => id === entry.id)) return expandGroup(rest, done, lookup)
  const toml = lookup(entry.id, entry.version)
  if (toml === undefined) {
    const name = entry.version === undefined ? entry.id : `${entry.id}@${entry.version}`
    throw new LifecycleError('no-buildpack', `buildpack ${name} is not installed`, 'ask whoever runs this platform')
  }
  const isOptional = entry.optional ?? false
  if (toml.order === undefined) {
    return expandGroup(rest, [...done, { id: entry.id, version: toml.buildpack.version, isOptional }], lookup)
  }
  const inner = toml.order.flatMap(({ group }) => expandGroup([...group, ...rest], done, lookup))
  return isOptional ? [...inner, ...expandGroup(rest, done, lookup)] : inner
}
