import { z } from 'zod'
import { checkToml, freeTable } from './toml.js'

const requireSchema = z.object({
  name: z.string(),
  /** Was allowed before API 0.3; now only `metadata.version` is. */
  version: z.never('"version" belongs into metadata').optional(),
  metadata: freeTable.optional(),
})
const sectionsSchema = z.object({
  provides: z.array(z.object({ name: z.string() })).default([]),
  requires: z.array(requireSchema).default([]),
})
const buildPlanSchema = sectionsSchema.extend({ or: z.array(sectionsSchema).default([]) })

export type PlanRequire = z.infer<typeof requireSchema>
export type PlanSections = z.infer<typeof sectionsSchema>

/** What a `bin/detect` offers and asks for: one alternative, or several, best first. @throws TomlProblem */
export function parseBuildPlan(text: string): PlanSections[] {
  const plan = checkToml(buildPlanSchema, text)
  return [{ provides: plan.provides, requires: plan.requires }, ...plan.or]
}
