import type { Backend } from '@croft/garden-api'
import { messageOf, type Clock, type Logger } from '@croft/kit'
import type { NodeInstance } from './instance/ports.js'
import { ServiceInstance } from './instance/service-instance.js'

const EVERY_MS = 2_000

/** Keeps the CPU and memory figures of running instances fresh until `signal` aborts. */
export async function keepMeasuring(
  backend: Backend,
  instances: () => NodeInstance[],
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  let before = new Map<string, { usageNs: number; atMs: number }>()
  while (!signal.aborted) {
    await clock.sleep(EVERY_MS, signal).catch(() => undefined)
    if (signal.aborted) return
    const running = instances().filter(
      (instance): instance is ServiceInstance => instance instanceof ServiceInstance && instance.handle !== null,
    )
    const now = new Map<string, { usageNs: number; atMs: number }>()
    try {
      const metrics = await backend.bulkMetrics(running.map(({ handle }) => handle ?? ''))
      for (const instance of running) {
        const value = metrics.get(instance.handle ?? '')?.value
        if (value === undefined || instance.handle === null) continue
        const present = { usageNs: value.cpu.usageNs, atMs: clock.monotonic() }
        const last = before.get(instance.handle)
        const cpuMillis =
          last === undefined
            ? 0
            : Math.max(0, Math.round((present.usageNs - last.usageNs) / 1_000 / Math.max(1, present.atMs - last.atMs)))
        instance.measure(cpuMillis, value.memory.usageTowardLimitBytes)
        now.set(instance.handle, present)
      }
    } catch (error) {
      logger.debug('not-measured', { why: messageOf(error) })
    }
    before = now
  }
}
