import { z } from 'zod'
import { orderSchema } from './order-toml.js'
import { readToml } from './toml.js'

const targetSchema = z.object({
  os: z.string().optional(),
  arch: z.string().optional(),
  variant: z.string().optional(),
  distros: z.array(z.object({ name: z.string().optional(), version: z.string().optional() })).optional(),
})
export type BuildpackTarget = z.infer<typeof targetSchema>

/** `buildpack.toml`: what a buildpack is, or, with `order`, what a composite one consists of. */
export const buildpackTomlSchema = z.object({
  api: z.string(),
  buildpack: z.object({
    id: z.string().regex(/^[A-Za-z0-9._/-]+$/),
    version: z.string(),
    name: z.string().optional(),
    homepage: z.string().optional(),
    'clear-env': z.boolean().optional(),
  }),
  targets: z.array(targetSchema).optional(),
  stacks: z.array(z.looseObject({ id: z.string() })).optional(),
  order: orderSchema.optional(),
  metadata: z
    .looseObject({
      /** Croft's own: what the push says when this buildpack leads the group, e.g. `Node.js app detected (package.json)`. */
      croft: z.object({ detected: z.string().optional(), 'looks-for': z.string().optional() }).optional(),
    })
    .optional(),
})
export type BuildpackToml = z.infer<typeof buildpackTomlSchema>

/** Buildpack APIs this lifecycle speaks; for major 0 the minor must match exactly. */
const SUPPORTED_APIS = ['0.7', '0.8', '0.9', '0.10', '0.11', '0.12']

export function parseBuildpackToml(text: string, what: string): BuildpackToml {
  return readToml(buildpackTomlSchema, text, what)
}

export function isSupportedApi(api: string): boolean {
  return SUPPORTED_APIS.includes(api)
}

/** Whether buildpack API `api` is at least 0.`minor`. */
export function apiAtLeast(api: string, minor: number): boolean {
  return Number(api.split('.')[1] ?? 0) >= minor
}

/** A buildpack's id as a folder name: slashes become underscores. */
export function escapeId(id: string): string {
  return id.replaceAll('/', '_')
}
