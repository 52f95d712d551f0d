import type { HealthCheck } from '@croft/protocol'
import { z } from 'zod'
import { named } from './text.js'

/** What a release takes from an app's `app.json`. */
export interface AppManifest {
  /** By process type. */
  checks: Record<string, HealthCheck>
  /** Quantities by process type, for types the app has no formation of yet. */
  formation: Record<string, number>
}

export const EMPTY_MANIFEST: AppManifest = { checks: {}, formation: {} }

/** `app.json` that cannot be used. */
export class ManifestError extends Error {
  constructor(why: string) {
    super(`app.json: ${why}`)
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

const manifestSchema = z.looseObject({
  formation: z.record(z.string(), z.looseObject({ quantity: z.int().min(0).max(1_000).optional() })).optional(),
  healthchecks: z.record(z.string(), z.array(checkSchema)).optional(),
})

/**
 * Reads `app.json` as Heroku and Dokku do: `formation.TYPE.quantity`, and the start-up check of `healthchecks.TYPE`. Members
 * that Croft does not read are left alone. Pure.
 * @throws ManifestError naming the member.
 */
export function parseAppManifest(text: string): AppManifest {
  let json: unknown
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw new ManifestError(`not JSON (${named(error instanceof Error ? error.message : '', 100)})`)
  }
  const parsed = manifestSchema.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new ManifestError(
      `${named(issue?.path.join('.') ?? '', 80) || 'the document'}: ${issue?.message ?? 'is wrong'}`,
    )
  }
  const manifest: AppManifest = { checks: {}, formation: {} }
  for (const [type, { quantity }] of Object.entries(parsed.data.formation ?? {})) {
    if (quantity !== undefined) manifest.formation[type] = quantity
  }
  for (const [type, declared] of Object.entries(parsed.data.healthchecks ?? {})) {
    const check = startupCheck(declared)
    if (check !== undefined) manifest.checks[type] = healthCheckOf(type, check)
  }
  return manifest
}

function startupCheck(checks: readonly DeclaredCheck[]): DeclaredCheck | undefined {
  return checks.find((check) => check.type === 'startup') ?? checks.find((check) => check.type === 'readiness')
}

function healthCheckOf(type: string, check: DeclaredCheck): HealthCheck {
  const times = {
    intervalMs: Math.round((check.wait ?? DEFAULT_INTERVAL_SECONDS) * 1_000),
    timeoutMs: Math.round((check.timeout ?? DEFAULT_TIMEOUT_SECONDS) * 1_000),
  }
  if (check.command !== undefined) {
    throw new ManifestError(`healthchecks.${named(type, 40)}: command checks are not supported, use path or listening`)
  }
  if (check.path !== undefined) return { kind: 'http', path: check.path, ...times }
  if (check.listening !== true && check.uptime !== undefined) {
    return { kind: 'uptime', uptimeMs: Math.round(check.uptime * 1_000) }
  }
  return { kind: 'port', ...times }
}
