import type { PlanRequire } from './build-plan-toml.js'
import { writeToml } from './toml.js'

/** The plan file handed to a `bin/build`: what others asked of it. */
export function writeBuildpackPlan(requires: readonly PlanRequire[]): string {
  if (requires.length === 0) return ''
  return writeToml({
    entries: requires.map(({ name, metadata }) => ({ name, ...(metadata !== undefined && { metadata }) })),
  })
}
