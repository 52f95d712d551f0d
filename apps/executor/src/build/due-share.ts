import { cpus } from 'node:os'
import type { Container } from '@croft/garden-api'
import { messageOf } from '@croft/kit'
import type { RunningBuild } from './running-build.js'
import { isStarved, type ProcessorLook } from './starvation.js'

const EVERY_MS = 2_000

/**
 * A build begins with what no app wants. Where the apps leave it next to nothing for two seconds, it gets the share its limits name,
 * from then on, so that it ends on a busy machine too. Until the build's signal aborts.
 */
export function giveDueShare(
  containerOf: () => Pick<Container, 'handle' | 'metrics' | 'changeLimits'> | null,
  { spec, ports, stop }: DueShareOf,
  idleTimes: () => number[] = () => cpus().map(({ times }) => times.idle),
): void {
  keepLooking(containerOf, spec.limits.cpuShares, ports, stop.signal, idleTimes).catch((error: unknown) => {
    if (!stop.signal.aborted) ports.logger.warn('build-share-not-given', { why: messageOf(error) })
  })
}

type DueShareOf = Pick<RunningBuild, 'stop'> & {
  spec: { limits: { cpuShares: number } }
  ports: Pick<RunningBuild['ports'], 'clock' | 'logger'>
}

async function keepLooking(
  containerOf: Parameters<typeof giveDueShare>[0],
  weight: number,
  { clock, logger }: DueShareOf['ports'],
  signal: AbortSignal,
  idleTimes: () => number[],
): Promise<void> {
  let before: { container: unknown; look: ProcessorLook } | null = null
  let given: unknown = null
  let isDue = false
  for (;;) {
    const container = containerOf()
    const metrics = (await container?.metrics().catch(() => null)) ?? null // it is going away
    if (container !== null && metrics !== null) {
      const idle = idleTimes()
      const idleMs = idle.reduce((sum, one) => sum + one, 0)
      const look: ProcessorLook = { atMs: clock.monotonic(), usedMs: metrics.cpu.usageNs / 1e6, idleMs }
      // one that was made anew counts from 0
      const isStarving = before?.container === container && isStarved(before.look, look, idle.length)
      before = { container, look }
      if (isStarving && !isDue) logger.info('build-starves', { container: container.handle, weight })
      isDue ||= isStarving
      if (isDue && given !== container) {
        given = container
        await container.changeLimits({ cpu: { weight } }).catch((error: unknown) => {
          logger.warn('build-share-not-given', { container: container.handle, why: messageOf(error) })
        }) // it may be going away; the next one is another matter
      }
    }
    await clock.sleep(EVERY_MS, signal)
  }
}
