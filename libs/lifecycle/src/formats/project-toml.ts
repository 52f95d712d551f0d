import { z } from 'zod'
import { CHOICE_FORMS, parseBuildpackChoice, type BuildpackChoice } from '../buildpack-choice.js'
import { isSupportedApi } from './buildpack-toml.js'
import { checkToml, lineInToml, TomlProblem } from './toml.js'

/** What an app's `project.toml` says, of schema 0.1 or 0.2. */
export interface ProjectToml {
  /** Patterns of `.gitignore`: only these files, or all but these; never both. */
  include: string[] | null
  exclude: string[] | null
  /** The buildpacks to use instead of the platform's order; null: that order. */
  group: BuildpackChoice[] | null
  pre: BuildpackChoice[]
  post: BuildpackChoice[]
  /** Build-time variables. */
  env: Record<string, string>
  /** A builder image; Croft uses its own stacks. */
  builder: string | null
}

const scriptSchema = z.object({
  api: z.string().refine(isSupportedApi, 'is a buildpack API this platform does not speak'),
  shell: z.string().startsWith('/', 'is not an absolute path').default('/bin/sh'),
  inline: z.string(),
})
const entrySchema = z
  .object({
    id: z.string().optional(),
    version: z.string().optional(),
    uri: z.string().optional(),
    script: scriptSchema.optional(),
  })
  .refine(
    ({ version, uri, script }) => [version, uri, script].filter((one) => one !== undefined).length <= 1,
    'may have one of version, uri and script',
  )
  .refine(({ id, uri, script }) => id !== undefined || uri !== undefined || script !== undefined, 'names no buildpack')
  .refine(
    ({ uri }) => uri === undefined || parseBuildpackChoice(uri) !== null,
    `has a uri that names no buildpack (expected ${CHOICE_FORMS})`,
  )
  .refine(
    ({ id, version }) => id === undefined || parseBuildpackChoice(`${id}@${version ?? '1'}`)?.kind === 'installed',
    'has an id or a version that is none',
  )
type Entry = z.infer<typeof entrySchema>

const envSchema = z.array(
  z.object({ name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not a variable name'), value: z.string() }),
)
const files = {
  builder: z.string().optional(),
  include: z.array(z.string()).optional(),
  exclude: z.array(z.string()).optional(),
}
const isOneOf = ({ include, exclude }: { include?: unknown; exclude?: unknown }): boolean =>
  include === undefined || exclude === undefined
const ONE_OF = 'include and exclude exclude each other'

const group = z.object({ group: z.array(entrySchema).default([]) })
const newSchema = z.object({
  _: z.object({ 'schema-version': z.string() }),
  io: z
    .object({
      buildpacks: z
        .object({
          ...files,
          group: z.array(entrySchema).optional(),
          pre: group.optional(),
          post: group.optional(),
          build: z.object({ env: envSchema.default([]) }).optional(),
        })
        .refine(isOneOf, ONE_OF)
        .optional(),
    })
    .optional(),
})
const oldSchema = z.object({
  build: z
    .object({ ...files, buildpacks: z.array(entrySchema).optional(), env: envSchema.default([]) })
    .refine(isOneOf, ONE_OF)
    .optional(),
})
const versionSchema = z.object({
  _: z.object({ 'schema-version': z.string().optional() }).optional(),
  io: z.unknown().optional(),
})

/** Reads `project.toml`; what Croft does not read is left alone. Pure. @throws TomlProblem */
export function parseProjectToml(text: string): ProjectToml {
  const head = checkToml(versionSchema, text)
  const version = head._?.['schema-version']
  if (version === undefined) {
    if (head._ !== undefined || hasBuildpacks(head.io))
      throw new TomlProblem(lineInToml(text, ['_']) ?? lineOfTable(text), '_.schema-version is missing ("0.2")')
    return old(checkToml(oldSchema, text))
  }
  if (version === '0.1') return old(checkToml(oldSchema, text))
  if (version !== '0.2') {
    const line = lineInToml(text, ['_', 'schema-version'])
    throw new TomlProblem(line, `_.schema-version "${version}" is not known (0.1 and 0.2 are)`)
  }
  const { buildpacks } = checkToml(newSchema, text).io ?? {}
  return {
    ...filesOf(buildpacks),
    group: choices(buildpacks?.group, 'group') ?? null,
    pre: choices(buildpacks?.pre?.group, 'pre') ?? [],
    post: choices(buildpacks?.post?.group, 'post') ?? [],
    env: envOf(buildpacks?.build?.env),
  }
}

function old({ build }: z.infer<typeof oldSchema>): ProjectToml {
  return {
    ...filesOf(build),
    group: choices(build?.buildpacks, 'group') ?? null,
    pre: [],
    post: [],
    env: envOf(build?.env),
  }
}

/** The line of the first table below `io.buildpacks`. */
function lineOfTable(text: string): number {
  return Math.max(1, text.split('\n').findIndex((line) => /^\s*(\[+\s*)?io\b/.test(line)) + 1)
}

function hasBuildpacks(io: unknown): boolean {
  return typeof io === 'object' && io !== null && 'buildpacks' in io
}

function filesOf(
  table: { builder?: string | undefined; include?: string[] | undefined; exclude?: string[] | undefined } | undefined,
): Pick<ProjectToml, 'builder' | 'include' | 'exclude'> {
  const { builder = null, include = null, exclude = null } = table ?? {}
  return { builder, include, exclude }
}

function envOf(list: readonly { name: string; value: string }[] = []): Record<string, string> {
  return Object.fromEntries(list.map(({ name, value }) => [name, value]))
}

function choices(entries: readonly Entry[] | undefined, where: string): BuildpackChoice[] | undefined {
  if (entries === undefined || entries.length === 0) return undefined
  return entries.map((entry, at) => choiceOf(entry, `${where}-${at + 1}`))
}

function choiceOf({ id, version, uri, script }: Entry, name: string): BuildpackChoice {
  if (script !== undefined) {
    return { kind: 'inline', id: id ?? `inline/${name}`, api: script.api, shell: script.shell, script: script.inline }
  }
  const choice = uri === undefined ? null : parseBuildpackChoice(uri)
  return choice ?? { kind: 'installed', id: id ?? '', version: version ?? null }
}
