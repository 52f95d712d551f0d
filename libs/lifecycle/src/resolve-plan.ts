import type { PlanRequire, PlanSections } from './formats/build-plan-toml.js'

/** A buildpack whose `bin/detect` passed, with its alternatives, best first. */
export interface PlanElement {
  id: string
  version: string
  isOptional: boolean
  options: readonly PlanSections[]
}

/** Who provides a name, and what the others asked of it. */
export interface PlanEntry {
  name: string
  providers: { id: string; version: string }[]
  requires: PlanRequire[]
}

export interface ResolvedPlan {
  group: { id: string; version: string }[]
  entries: PlanEntry[]
}

interface Option {
  id: string
  version: string
  isOptional: boolean
  sections: PlanSections
}

/**
 * The first combination of alternatives in which everything required is provided before and everything provided is required;
 * optional elements that stand in the way are left out. Null when there is none, or nothing would be left. Pure.
 *
 * The first element's alternative varies slowest. An element counts as optional only in its last alternative.
 */
export function resolvePlan(elements: readonly PlanElement[]): ResolvedPlan | null {
  return tryFrom(elements, [])
}

function tryFrom(elements: readonly PlanElement[], chosen: readonly Option[]): ResolvedPlan | null {
  const [element, ...rest] = elements
  if (element === undefined) return trial(chosen)
  for (const [index, sections] of element.options.entries()) {
    const isOptional = element.isOptional && index === element.options.length - 1
    const resolved = tryFrom(rest, [...chosen, { id: element.id, version: element.version, isOptional, sections }])
    if (resolved !== null) return resolved
  }
  return null
}

interface Entry {
  providers: Option[]
  pending: Option[]
  requires: PlanRequire[]
}

function trial(options: readonly Option[]): ResolvedPlan | null {
  if (options.length === 0) return null
  const entries = new Map<string, Entry>()
  const entryOf = (name: string): Entry => {
    const entry = entries.get(name) ?? { providers: [], pending: [], requires: [] }
    entries.set(name, entry)
    return entry
  }
  const offenders = new Set<Option>()
  for (const option of options) {
    for (const { name } of option.sections.provides) entryOf(name).pending.push(option)
    for (const require of option.sections.requires) {
      const entry = entryOf(require.name)
      entry.providers.push(...entry.pending)
      entry.pending = []
      if (entry.providers.length === 0) offenders.add(option)
      else entry.requires.push(require)
    }
  }
  for (const entry of entries.values()) for (const option of entry.pending) offenders.add(option)
  if (offenders.size > 0) {
    if ([...offenders].some(({ isOptional }) => !isOptional)) return null
    return trial(options.filter((option) => !offenders.has(option)))
  }
  return {
    group: options.map(({ id, version }) => ({ id, version })),
    entries: [...entries]
      .filter(([, entry]) => entry.providers.length > 0)
      .map(([name, entry]) => ({
        name,
        providers: entry.providers.map(({ id, version }) => ({ id, version })),
        requires: entry.requires,
      })),
  }
}

/** What a buildpack is asked to provide: the requires of its entries that nobody before it met. Pure. */
export function requiresFor(entries: readonly PlanEntry[], id: string, met: ReadonlySet<string>): PlanRequire[] {
  return entries
    .filter((entry) => !met.has(entry.name) && entry.providers.some((provider) => provider.id === id))
    .flatMap((entry) => entry.requires)
}
