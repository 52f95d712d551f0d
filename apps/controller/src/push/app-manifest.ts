import { JsonProblem, lineOfMember, readJson } from '@croft/kit'
import type { HealthCheck } from '@croft/protocol'
import { z } from 'zod'
import { objectionToName, objectionToSize } from '../app/config-name.js'
import { named } from './text.js'

/** A config var that `app.json` describes. */
export interface DeclaredVar {
  name: string
  description: string
  /** What it is when nobody says otherwise; null: nothing. */
  value: string | null
  /** Whether a random value is made of it. */
  isGenerated: boolean
  /** Whether an app is not deployed for the first time without it. */
  isRequired: boolean
  /** Whether every deployment gives it the value. */
  isSynced: boolean
}

/** What a release takes from an app's `app.json`. */
export interface AppManifest {
  /** By process type. */
  checks: Record<string, HealthCheck>
  /** Quantities by process type, for types the app has no formation of yet. */
  formation: Record<string, number>
  env: DeclaredVar[]
  /** Members that mean something elsewhere and nothing here, in sentences for whoever pushes. */
  ignored: string[]
}

export const EMPTY_MANIFEST: AppManifest = { checks: {}, formation: {}, env: [], ignored: [] }

/** `app.json` that cannot be used. */
export class ManifestError extends Error {
  constructor(line: number, why: string) {
    super(`app.json, line ${line}: ${why}`)
    this.name = 'ManifestError'
  }
}

const DEFAULT_INTERVAL_SECONDS = 1
const DEFAULT_TIMEOUT_SECONDS = 5
const MAX_SECONDS = 3_600

const seconds = z.number().positive().max(MAX_SECONDS)
const checkSchema = z.looseObject({
  type: z.enum(['startup', 'readiness', 'liveness']).default('startup'),
  path: z.string().startsWith('/').max(2_048).optional(),
  listening: z.boolean().optional(),
  uptime: z.number().nonnegative().max(MAX_SECONDS).optional(),
  command: z.unknown().optional(),
  wait: seconds.optional(),
  timeout: seconds.optional(),
})
type DeclaredCheck = z.infer<typeof checkSchema>

const textSchema = z
  .union([z.string(), z.number(), z.boolean()], 'expected a text')
  .transform(String)
  .refine((text) => !text.includes('\0'), 'has a NUL character')
const varSchema = z.looseObject({
  description: z.string().optional(),
  value: textSchema.nullish(),
  generator: z.literal('secret', 'only "secret" is known').optional(),
  required: z.boolean().default(true),
  sync: z.boolean().default(false),
})

const manifestSchema = z.looseObject({
  formation: z.record(z.string(), z.looseObject({ quantity: z.int().min(0).max(1_000).optional() })).optional(),
  healthchecks: z.record(z.string(), z.array(checkSchema)).optional(),
  env: z.record(z.string(), z.unknown()).optional(),
  scripts: z.record(z.string(), z.unknown()).optional(),
  cron: z.array(z.unknown()).optional(),
  addons: z.unknown().optional(),
  buildpacks: z.unknown().optional(),
})
type Manifest = z.infer<typeof manifestSchema>

/** Scripts of Heroku's tests and review apps, which no deployment runs anywhere. */
const OTHER_SCRIPTS = ['test', 'test-setup', 'pr-predestroy']

/**
 * Reads `app.json` as Heroku and Dokku do: `formation.TYPE.quantity`, the start-up check of `healthchecks.TYPE`, and `env`. What of
 * the rest means something to those is told in `ignored`; other members are left alone. Pure.
 * @throws ManifestError naming the line and the member.
 */
export function parseAppManifest(text: string): AppManifest {
  const document = new Document(text)
  const { formation = {}, healthchecks = {}, env = {}, ...others } = document.read(manifestSchema, document.json, [])
  const manifest: AppManifest = { checks: {}, formation: {}, env: [], ignored: ignoredOf(others) }
  for (const [type, { quantity }] of Object.entries(formation)) {
    if (quantity !== undefined) manifest.formation[type] = quantity
  }
  for (const [type, declared] of Object.entries(healthchecks)) {
    const check = startupCheck(declared)
    if (check === undefined) continue
    const command = ['healthchecks', type, declared.indexOf(check), 'command']
    if (check.command !== undefined) {
      throw document.problem(command, 'command checks are not supported, use path or listening')
    }
    manifest.checks[type] = healthCheckOf(check)
  }
  for (const [name, value] of Object.entries(env)) {
    const objection = objectionToName(name)
    if (objection === undefined) manifest.env.push(varOf(document, name, value))
    else if (objection !== 'is set by the platform') throw document.problem(['env', name], objection)
    else manifest.ignored.push(`app.json: env.${name} ${objection}`)
  }
  const tooLarge = objectionToSize(Object.fromEntries(manifest.env.map(({ name, value }) => [name, value ?? ''])))
  if (tooLarge !== undefined) throw document.problem(['env'], tooLarge)
  return manifest
}

/** The text and what it says, so that what is wrong is told with its line. */
class Document {
  readonly json: unknown

  constructor(private readonly text: string) {
    try {
      this.json = readJson(text)
    } catch (error) {
      if (!(error instanceof JsonProblem)) throw error
      throw new ManifestError(error.line, named(error.rule, 120))
    }
  }

  read<T>(schema: z.ZodType<T>, value: unknown, at: readonly PropertyKey[]): T {
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    throw this.problem([...at, ...(issue?.path ?? [])], issue?.message ?? 'is wrong')
  }

  problem(path: readonly PropertyKey[], rule: string): ManifestError {
    const member = named(path.join('.'), 80) || 'the document'
    return new ManifestError(lineOfMember(this.text, path), `${member}: ${rule}`)
  }
}

function varOf(document: Document, name: string, declared: unknown): DeclaredVar {
  const isText = ['string', 'number', 'boolean'].includes(typeof declared)
  const {
    description = '',
    value,
    generator,
    required,
    sync,
  } = document.read(varSchema, isText ? { value: declared } : declared, ['env', name])
  return {
    name,
    description,
    value: value === undefined || value === '' ? null : value,
    isGenerated: generator === 'secret',
    isRequired: required,
    isSynced: sync,
  }
}

/** What somebody who comes from elsewhere counts on. */
function ignoredOf({ scripts = {}, cron = [], addons, buildpacks }: Partial<Manifest>): string[] {
  const own = Object.entries(scripts).flatMap(([name, script]) =>
    typeof script === 'object' && script !== null
      ? Object.keys(script).map((inner) => `scripts.${name}.${inner}`)
      : OTHER_SCRIPTS.includes(name)
        ? []
        : [`scripts.${name}`],
  )
  const notRun = [...(cron.length > 0 ? ['cron'] : []), ...own].map((name) => named(name, 60))
  const notRead = Object.entries({ addons, buildpacks }).flatMap(([name, list]) => (hasAny(list) ? [name] : []))
  const are = (names: readonly string[]): string => (names.length === 1 ? 'is' : 'are')
  return [
    ...(notRun.length > 0 ? [`app.json: ${notRun.join(', ')} ${are(notRun)} not run by this version of Croft`] : []),
    ...(notRead.length > 0
      ? [`app.json: ${notRead.join(', ')} ${are(notRead)} not read by this version of Croft`]
      : []),
  ]
}

function hasAny(list: unknown): boolean {
  return typeof list === 'object' && list !== null && Object.keys(list).length > 0
}

function startupCheck(checks: readonly DeclaredCheck[]): DeclaredCheck | undefined {
  return checks.find((check) => check.type === 'startup') ?? checks.find((check) => check.type === 'readiness')
}

function healthCheckOf(check: DeclaredCheck): HealthCheck {
  const times = {
    intervalMs: Math.round((check.wait ?? DEFAULT_INTERVAL_SECONDS) * 1_000),
    timeoutMs: Math.round((check.timeout ?? DEFAULT_TIMEOUT_SECONDS) * 1_000),
  }
  if (check.path !== undefined) return { kind: 'http', path: check.path, ...times }
  if (check.listening !== true && check.uptime !== undefined) {
    return { kind: 'uptime', uptimeMs: Math.round(check.uptime * 1_000) }
  }
  return { kind: 'port', ...times }
}
