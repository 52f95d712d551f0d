import type { HealthCheck, InstanceLimits, ProcessType, ServiceSpec } from '@croft/protocol'

/** What an instance of a release is started with: the spec its node gets. Pure. */

/** The port an app is told to listen on. */
export const APP_PORT = 8080
/** The process type that gets traffic. */
export const TRAFFIC_TYPE = 'web'
/** The Procfile entry that runs before traffic moves; never an instance of the formation. */
export const RELEASE_TYPE = 'release'

export const DEFAULT_BOOT_TIMEOUT_MS = 60_000
export const DEFAULT_GRACE_MS = 30_000
export const DEFAULT_DRAIN_MS = 30_000

const MIB = 1024 * 1024

export const DEFAULT_LIMITS: InstanceLimits = {
  memoryBytes: 512 * MIB,
  cpuShares: 1_000,
  cpuQuotaMillis: null,
  pids: 512,
  diskBytes: 1024 * MIB,
}

/** Without a check in app.json: the port must accept from outside the container. */
const DEFAULT_TRAFFIC_CHECK: HealthCheck = { kind: 'port', intervalMs: 1_000, timeoutMs: 2_000 }
/** A type without traffic is ready when it has stayed up this long. */
const DEFAULT_WORKER_CHECK: HealthCheck = { kind: 'uptime', uptimeMs: 1_000 }

/** Whether instances of a process type are put into the route table. */
export function hasTraffic(type: string): boolean {
  return type === TRAFFIC_TYPE
}

export interface SpecSource {
  appName: string
  type: string
  slot: number
  limits: InstanceLimits
  settings: { bootTimeoutMs?: number; graceMs?: number }
  release: {
    version: number
    image: string | null
    processTypes: Readonly<Record<string, ProcessType>>
    checks: Readonly<Record<string, HealthCheck>>
  }
  /** The release's config vars, opened. */
  config: Readonly<Record<string, string>>
}

/** The spec, or null when the release has no image or no such process type: then there is nothing to run. */
export function serviceSpec(source: SpecSource): ServiceSpec | null {
  const { release, type } = source
  const process = Object.hasOwn(release.processTypes, type) ? release.processTypes[type] : undefined
  if (release.image === null || process === undefined) return null
  const declared = Object.hasOwn(release.checks, type) ? release.checks[type] : undefined
  const port = process.port ?? APP_PORT
  return {
    kind: 'service',
    image: release.image,
    command: process.argv,
    ...(process.user !== undefined && { user: process.user }),
    ...(process.dir !== undefined && { dir: process.dir }),
    env: {
      ...source.config,
      PORT: String(port),
      CROFT_APP: source.appName,
      CROFT_INSTANCE: `${type}.${source.slot}`,
      CROFT_RELEASE: `v${release.version}`,
    },
    port: hasTraffic(type) ? port : null,
    health: healthOf(type, declared),
    limits: source.limits,
    graceMs: source.settings.graceMs ?? DEFAULT_GRACE_MS,
    bootTimeoutMs: source.settings.bootTimeoutMs ?? DEFAULT_BOOT_TIMEOUT_MS,
  }
}

/** A check of the port makes sense only for a type that has one. */
function healthOf(type: string, declared: HealthCheck | undefined): HealthCheck {
  if (hasTraffic(type)) return declared ?? DEFAULT_TRAFFIC_CHECK
  return declared?.kind === 'uptime' ? declared : DEFAULT_WORKER_CHECK
}
