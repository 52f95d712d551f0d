import type { InstanceReason, ServiceSpec } from '@croft/protocol'
import type { CheckResult } from './health.js'
import { diagnosePort, type Listener } from './listeners.js'

export interface BootDiagnosis {
  reason: InstanceReason
  message: string
}

/** Why an instance did not become ready in time: judged by its last check and by what its container listens on. Pure. */
export function diagnoseBoot(
  spec: Pick<ServiceSpec, 'port' | 'health' | 'bootTimeoutMs'>,
  last: Extract<CheckResult, { isPassed: false }>,
  listeners: readonly Listener[],
): BootDiagnosis {
  const late = `it was not ready within ${Math.round(spec.bootTimeoutMs / 100) / 10} s`
  if (spec.port === null || spec.health.kind === 'uptime') {
    return { reason: 'boot-timeout', message: `${late}: ${last.why}` }
  }
  const isOpen = listeners.some((listener) => listener.port === spec.port && !listener.isLoopback)
  if (isOpen) return { reason: last.reason, message: `${late}: ${last.why}` }
  const { reason, message } = diagnosePort(spec.port, listeners)
  return { reason, message: `${late}: ${message}` }
}
