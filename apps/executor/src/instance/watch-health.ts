import type { Clock } from '@croft/kit'
import type { Observed, ServiceSpec } from '@croft/protocol'
import type { check, CheckResult } from './health.js'

/**
 * How often a starting instance is asked, so that its first readiness is noticed at once: after a twentieth of what it has
 * taken so far, within these bounds, for many may start at the same time.
 */
const STARTING_EVERY_MS = { min: 5, max: 25 }
const STARTING_SHARE = 20
/** One that has not come up after this long, or answers badly, is asked less often. */
const SLOW_START_MS = 10_000
const SLOW_STARTING_EVERY_MS = 250
/** Failed checks in a row that make a ready instance unready. */
const FAILURES_TO_UNREADY = 2
/** A process that is up has nothing more to be asked. */
const UPTIME_EVERY_MS = 60_000

export type FailedCheck = Extract<CheckResult, { isPassed: false }>

export interface HealthWatch {
  spec: Pick<ServiceSpec, 'health' | 'port' | 'bootTimeoutMs'>
  /** Empty for a type without traffic. */
  ip: string
  appName: string
  clock: Clock
  check: typeof check
  state: () => Observed
  onReady: () => Promise<void>
  onUnready: (failed: FailedCheck) => Promise<void>
  /** It did not come up in time; nothing is checked any more. */
  onBootTimeout: (failed: FailedCheck) => Promise<void>
}

/** Looks at an instance whose process runs, from outside its container, until `signal` aborts. */
export async function watchHealth(watch: HealthWatch, signal: AbortSignal): Promise<void> {
  const { clock, spec } = watch
  const { health } = spec
  const began = clock.monotonic()
  let failures = 0
  while (!signal.aborted) {
    const waitedMs = clock.monotonic() - began
    const result: CheckResult =
      health.kind === 'uptime' && waitedMs < health.uptimeMs
        ? { isPassed: false, reason: 'check-failed', why: 'it has just started' }
        : await watch.check(health, { ip: watch.ip, port: spec.port }, watch.appName)
    if (signal.aborted) return
    const state = watch.state()
    const isUp = state === 'ready' || state === 'unready'
    failures = result.isPassed ? 0 : failures + 1
    if (result.isPassed) {
      if (state !== 'ready') await watch.onReady()
    } else if (state === 'ready') {
      if (failures >= FAILURES_TO_UNREADY) await watch.onUnready(result)
    } else if (!isUp && waitedMs >= spec.bootTimeoutMs) {
      return await watch.onBootTimeout(result)
    }
    await clock.sleep(pauseMs(health, result, isUp, waitedMs), signal).catch(() => undefined)
  }
}

function pauseMs(health: ServiceSpec['health'], result: CheckResult, isUp: boolean, waitedMs: number): number {
  if (isUp || result.isPassed) return health.kind === 'uptime' ? UPTIME_EVERY_MS : health.intervalMs
  if (health.kind === 'uptime') return Math.max(1, Math.min(health.uptimeMs - waitedMs, SLOW_STARTING_EVERY_MS))
  /* asking again and again what answers badly only keeps it from coming up */
  const isBusy = result.reason === 'check-failed' || waitedMs > SLOW_START_MS
  if (isBusy) return SLOW_STARTING_EVERY_MS
  return Math.min(STARTING_EVERY_MS.max, Math.max(STARTING_EVERY_MS.min, waitedMs / STARTING_SHARE))
}
