import type { DeclaredVar } from './app-manifest.js'

/** What a deployment makes of the config vars that `app.json` describes. Pure. */
export interface EnvPlan {
  /** Values of those that the app has none of. */
  defaults: Record<string, string>
  /** Values that take the place of what the app has. */
  synced: Record<string, string>
  /** Those that get a random value where the app has none. */
  generated: string[]
  /** Required ones that nobody gives a value. */
  missing: DeclaredVar[]
}

/**
 * As Dokku does it: values and generators count for the first deployment only, where the app has no value yet, so that what somebody
 * takes away stays away; `sync` counts always. `present` are the names of the app's config vars.
 */
export function planEnv(declared: readonly DeclaredVar[], present: ReadonlySet<string>, isFirst: boolean): EnvPlan {
  const plan: EnvPlan = { defaults: {}, synced: {}, generated: [], missing: [] }
  for (const one of declared) {
    const { name, value, isGenerated, isRequired, isSynced } = one
    if (isSynced && value !== null) plan.synced[name] = value
    else if (present.has(name)) continue
    else if (value === null && !isGenerated) {
      if (isRequired) plan.missing.push(one)
    } else if (!isFirst) continue
    else if (value === null) plan.generated.push(name)
    else plan.defaults[name] = value
  }
  return plan
}

/** The missing ones with what they are for, and what sets them. */
export function missingText(missing: readonly DeclaredVar[], app: string): { cause: string; suggestion: string } {
  const told = missing.map(({ name, description }) => (description === '' ? name : `${name} (${description})`))
  const set = missing.map(({ name }) => `${name}=...`).join(' ')
  return {
    cause: `app.json requires config vars that are not set: ${told.join(', ')}`,
    suggestion: `croft config:set -a ${app} ${set}`,
  }
}
