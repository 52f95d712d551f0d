import { randomUUID } from 'node:crypto'
import type { BuildSpec, DesiredInstance, ServiceSpec } from '@croft/protocol'

const MIB = 1024 * 1024
const limits = { memoryBytes: 256 * MIB, cpuShares: 1_000, cpuQuotaMillis: null, pids: 128, diskBytes: 256 * MIB }

/** A placed web instance as a controller would send it. */
export function service(spec: Partial<ServiceSpec> = {}, item: Partial<DesiredInstance> = {}): DesiredInstance {
  return {
    id: randomUUID(),
    intent: 'run',
    teamId: randomUUID(),
    appId: randomUUID(),
    appName: 'shop',
    type: 'web',
    slot: 1,
    releaseVersion: 1,
    spec: {
      kind: 'service',
      image: `sha256:${'a'.repeat(64)}`,
      command: ['/cnb/process/web'],
      env: { PORT: '8080' },
      port: 8080,
      health: { kind: 'port', intervalMs: 50, timeoutMs: 500 },
      limits,
      graceMs: 1_000,
      bootTimeoutMs: 5_000,
      ...spec,
    },
    ...item,
  }
}

/** A placed build. */
export function build(spec: Partial<BuildSpec> = {}): DesiredInstance {
  return {
    ...service({}, { type: 'build' }),
    releaseVersion: null,
    spec: {
      kind: 'build',
      buildId: randomUUID(),
      stack: 'debian-12',
      previousImage: null,
      env: {},
      limits,
      timeoutMs: 60_000,
      isClean: false,
      commit: 'c'.repeat(40),
      ...spec,
    },
  }
}
