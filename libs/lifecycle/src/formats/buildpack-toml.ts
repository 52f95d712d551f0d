import { z } from 'zod'
import { execEnvSchema } from './exec-env.js'
import { orderSchema } from './order-toml.js'
import { readToml } from './toml.js'

const text = z.string().default('')
const targetSchema = z.object({
  os: text,
  arch: text,
  variant: z.string().optional(),
  'arch-variant': z.string().optional(),
  distros: z.array(z.object({ name: text, version: text })).default([]),
})

/** What a buildpack is made for; empty members mean any. */
export interface BuildpackTarget {
  os: string
  arch: string
  archVariant: string
  distros: { name: string; version: string }[]
}

/** What a build can ask of a node besides the run image: Debian's package lists, the build image. */
export const BUILD_NEEDS = ['debs', 'compilers'] as const
export type BuildNeed = (typeof BUILD_NEEDS)[number]

/** Names of folders beside those of buildpacks. */
const RESERVED_IDS = ['app', 'config', 'sbom', 'generated']

/** `buildpack.toml`: what a buildpack is, or, with `order`, what a composite one consists of. */
export const buildpackTomlSchema = z.object({
  api: z.string(),
  buildpack: z.object({
    id: z
      .string()
      .regex(
        /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/,
        'an id is made of letters, digits, dots, dashes, underscores and slashes, and no part of it begins with a dot',
      )
      .refine((id) => !RESERVED_IDS.includes(id), 'is an id that the lifecycle needs itself'),
    version: z.string(),
    name: z.string().optional(),
    homepage: z.string().optional(),
    'clear-env': z.boolean().optional(),
    'sbom-formats': z.array(z.string()).optional(),
    'exec-env': execEnvSchema.optional(),
  }),
  targets: z.array(targetSchema).optional(),
  stacks: z.array(z.looseObject({ id: z.string() })).optional(),
  order: orderSchema.optional(),
  metadata: z
    .looseObject({
      /**
       * Croft's own. `detected`: what the push says when this buildpack leads the group, e.g. `Node.js app detected (package.json)`.
       * `looks-for`: the file whose absence a person is told of. `needs`: what its build wants besides the run image.
       * `only-with`: where the app has nothing of these names, `bin/detect` would exit with 100 and is not run.
       */
      croft: z
        .object({
          detected: z.string().optional(),
          'looks-for': z.string().optional(),
          'only-with': z.array(z.string()).optional(),
          needs: z.array(z.enum(BUILD_NEEDS)).optional(),
        })
        .optional(),
    })
    .optional(),
})
export type BuildpackToml = z.infer<typeof buildpackTomlSchema>

export function parseBuildpackToml(text: string, what: string): BuildpackToml {
  return readToml(buildpackTomlSchema, text, what)
}

const BIONIC = 'io.buildpacks.stacks.bionic'
const BIONIC_TARGET: BuildpackTarget = {
  os: 'linux',
  arch: 'amd64',
  archVariant: '',
  distros: [{ name: 'ubuntu', version: '18.04' }],
}
const ANY: BuildpackTarget = { os: '', arch: '', archVariant: '', distros: [] }

/** What the buildpack says it is made for, or what its stacks stand for; one that says nothing is made for any linux. Pure. */
export function targetsOf(toml: BuildpackToml): BuildpackTarget[] {
  const said = (toml.targets ?? []).map((target) => ({
    os: target.os,
    arch: target.arch,
    archVariant: target.variant ?? target['arch-variant'] ?? '',
    distros: target.distros,
  }))
  if (said.length > 0) return said
  const stacks = toml.stacks ?? []
  const isBionic = (id: string): boolean => id === BIONIC && (apiAtLeast(toml.api, 10) || stacks.length === 1)
  const meant = stacks.flatMap(({ id }) => (id === '*' ? [ANY] : isBionic(id) ? [BIONIC_TARGET] : []))
  return meant.length > 0 ? meant : [{ ...ANY, os: 'linux' }]
}

/** Buildpack APIs this lifecycle speaks; for major 0 the minor must match exactly. */
export const BUILDPACK_APIS = ['0.7', '0.8', '0.9', '0.10', '0.11', '0.12']
/** Platform APIs it speaks. */
export const PLATFORM_APIS = ['0.7', '0.8', '0.9', '0.10', '0.11', '0.12', '0.13', '0.14', '0.15']

export function isSupportedApi(api: string): boolean {
  return BUILDPACK_APIS.includes(api)
}

/** Whether API `api` is at least 0.`minor`. */
export function apiAtLeast(api: string, minor: number): boolean {
  return Number(api.split('.')[1] ?? 0) >= minor
}

/** A buildpack's id as a folder name: slashes become underscores. */
export function escapeId(id: string): string {
  return id.replaceAll('/', '_')
}
