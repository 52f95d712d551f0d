import { z } from 'zod'
import { readToml } from './toml.js'

const buildTomlSchema = z.object({
  unmet: z.array(z.object({ name: z.string().min(1, 'is required') })).default([]),
  /** Before SBOM files; only checked. */
  bom: z.array(z.looseObject({ version: z.never('"version" belongs into metadata').optional() })).optional(),
})

/** `<layers>/<buildpack>/build.toml`: names of its plan that the buildpack did not provide after all. */
export function parseBuildToml(text: string, what: string): string[] {
  return readToml(buildTomlSchema, text, what).unmet.map(({ name }) => name)
}
