import { availableParallelism, cpus } from 'node:os'
import type { Container } from '@croft/garden-api'
import { messageOf, type Clock } from '@croft/kit'
import type { RunningBuild } from './running-build.js'
import { isStarved, type ProcessorLook } from './starvation.js'

const EVERY_MS = 2_000

/**
 * A build begins with what no app wants. Where the apps leave it next to nothing for two seconds, it gets the share its limits name,
 * from then on, so that it ends on a busy machine too. Until the build's signal aborts.
 */
export function giveDueShare(
  containerOf: () => Pick<Container, 'handle' | 'metrics' | 'changeLimits'> | null,
  { spec, ports, stop }: Pick<RunningBuild, 'spec' | 'ports' | 'stop'>,
): void {
  keepLooking(containerOf, spec.limits.cpuShares, ports, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) ports.logger.warn('build-share-not-given', { why: messageOf(error) })
  })
}

async function keepLooking(
  containerOf: Parameters<typeof giveDueShare>[0],
  weight: number,
  { clock, logger }: Pick<RunningBuild['ports'], 'clock' | 'logger'>,
  signal: AbortSignal,
): Promise<void> {
  let before: { container: unknown; look: ProcessorLook } | null = null
  let given: unknown = null
  let isDue = false
  for (;;) {
    const container = containerOf()
    const metrics = (await container?.metrics().catch(() => null)) ?? null // it is going away
    if (container !== null && metrics !== null) {
      const look = lookNow(clock, metrics.cpu.usageNs)
      // one that was made anew counts from 0
      const isStarving = before?.container === container && isStarved(before.look, look, availableParallelism())
      before = { container, look }
      if (isStarving && !isDue) logger.info('build-starves', { container: container.handle, weight })
      isDue ||= isStarving
      if (isDue && given !== container) {
        await container.changeLimits({ cpu: { weight } })
        given = container
      }
    }
    await clock.sleep(EVERY_MS, signal)
  }
}

function lookNow(clock: Clock, usageNs: number): ProcessorLook {
  const idleMs = cpus().reduce((sum, { times }) => sum + times.idle, 0)
  return { atMs: clock.monotonic(), usedMs: usageNs / 1e6, idleMs }
}
