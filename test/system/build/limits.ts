import type { BuildSpec } from '@croft/protocol'

export const LIMITS: BuildSpec['limits'] = {
  memoryBytes: 1024 ** 3,
  cpuShares: 1000,
  cpuQuotaMillis: null,
  pids: 256,
  diskBytes: 4 * 1024 ** 3,
}
