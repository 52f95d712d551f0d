import { LifecycleError } from './errors.js'
import { BUILDPACK_APIS, isSupportedApi, type BuildpackToml } from './formats/buildpack-toml.js'
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
 * The flat groups an order stands for, best first, each made when it is asked for: a composite entry is replaced by each of its
 * groups in turn, the rest of the outer group appended; an id already in the group is skipped, and so is what `takesPart`
 * refuses; an optional composite is also tried left out. Pure.
 * @throws LifecycleError for a buildpack that is not there, speaks another API or contains itself
 */
export function* expandOrder(
  order: Order,
  lookup: BuildpackLookup,
  takesPart: (toml: BuildpackToml, entry: OrderEntry) => boolean = () => true,
): Generator<GroupEntry[]> {
  const expand = new Expansion(lookup, takesPart)
  for (const { group } of order) yield* expand.group(group.map(atTop), [])
}

interface Nested {
  entry: OrderEntry
  /** The composites it came out of. */
  within: readonly string[]
}
const atTop = (entry: OrderEntry): Nested => ({ entry, within: [] })

class Expansion {
  constructor(
    private readonly lookup: BuildpackLookup,
    private readonly takesPart: (toml: BuildpackToml, entry: OrderEntry) => boolean,
  ) {}

  *group(entries: readonly Nested[], done: readonly GroupEntry[]): Generator<GroupEntry[]> {
    const [first, ...rest] = entries
    if (first === undefined) return yield [...done]
    const { entry, within } = first
    if (done.some(({ id }) => id === entry.id)) return yield* this.group(rest, done)
    const toml = this.#find(entry, within)
    const isOptional = entry.optional ?? false
    if (toml.order !== undefined && toml.order.length > 0) {
      const path = [...within, nameOf(entry)]
      for (const { group } of toml.order) {
        yield* this.group([...group.map((inner) => ({ entry: inner, within: path })), ...rest], done)
      }
      if (isOptional) yield* this.group(rest, done)
    } else if (!this.takesPart(toml, entry)) yield* this.group(rest, done)
    else yield* this.group(rest, [...done, { id: entry.id, version: toml.buildpack.version, isOptional }])
  }

  #find(entry: OrderEntry, within: readonly string[]): BuildpackToml {
    const name = nameOf(entry)
    const toml = this.lookup(entry.id, entry.version)
    if (toml === undefined) {
      throw new LifecycleError('detect', `buildpack ${name} is not installed`, 'ask whoever runs this platform')
    }
    if (!isSupportedApi(toml.api)) {
      const title = `buildpack ${name} speaks buildpack API ${toml.api}, this platform ${BUILDPACK_APIS.join(', ')}`
      throw new LifecycleError('buildpack-api', title, 'use another version of the buildpack')
    }
    if (within.includes(name)) {
      const title = `buildpack ${name} contains itself: ${[...within, name].join(' -> ')}`
      throw new LifecycleError('detect', title, 'correct the order in its buildpack.toml')
    }
    return toml
  }
}

function nameOf({ id, version }: OrderEntry): string {
  return version === undefined ? id : `${id}@${version}`
}

/** An order in which `pre` stands before and `post` behind every group; what a group has already is not put there twice. Pure. */
export function surroundOrder(order: Order, pre: readonly OrderEntry[], post: readonly OrderEntry[]): Order {
  return order.map(({ group }) => {
    const isNew = ({ id }: OrderEntry): boolean => group.every((entry) => entry.id !== id)
    return { group: [...pre.filter(isNew), ...group, ...post.filter(isNew)] }
  })
}
