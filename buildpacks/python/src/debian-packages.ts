import { markerHolds, type MarkerEnvironment } from './markers.js'
import { fulfils } from './pep440.js'
import type { Requirement } from './requirements.js'

/** Whether Debian's packages are what an app asks for. Pure. */

export interface Disagreement {
  requirement: Requirement
  /** The version that is there; null where Debian has no such package. */
  present: string | null
}

/** What is asked for on this Python, each package once with all conditions on it. */
export function applying(requirements: readonly Requirement[], environment: MarkerEnvironment): Requirement[] {
  const merged = new Map<string, Requirement>()
  for (const one of requirements.filter(({ marker }) => markerHolds(marker, environment))) {
    const known = merged.get(one.name)
    merged.set(
      one.name,
      known === undefined
        ? one
        : {
            ...known,
            extras: [...new Set([...known.extras, ...one.extras])],
            specifiers: [known.specifiers, one.specifiers].filter((part) => part !== '').join(','),
            url: known.url ?? one.url,
          },
    )
  }
  return [...merged.values()]
}

/** Where requirements and what is there differ: another version is never taken. */
export function disagreements(
  requirements: readonly Requirement[],
  present: ReadonlyMap<string, string>,
): Disagreement[] {
  return requirements.flatMap((requirement): Disagreement[] => {
    const version = present.get(requirement.name)
    if (version === undefined) return [{ requirement, present: null }]
    return fulfils(version, requirement.specifiers) === true ? [] : [{ requirement, present: version }]
  })
}

const SHOWN = 4

/** `flask ==3.0.0 (there is 2.2.2), x (there is none) and 3 more` */
export function describeDisagreements(found: readonly Disagreement[]): string {
  const shown = found.slice(0, SHOWN).map(({ requirement, present }) => {
    const asked = `${requirement.name} ${requirement.specifiers}`.trim()
    return `${asked} (there is ${present ?? 'none'})`
  })
  return shown.join(', ') + (found.length > SHOWN ? ` and ${found.length - SHOWN} more` : '')
}
