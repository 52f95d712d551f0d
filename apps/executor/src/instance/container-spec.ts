import type { ContainerSpec } from '@croft/garden-api'
import type { DesiredInstance, ServiceSpec } from '@croft/protocol'
import { APP_PROPERTY, INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY } from './ports.js'

/** Longest name a host may have. */
const MAX_HOSTNAME = 63

/** What the backend is asked for one service instance, whose environment comes with its process. Pure. */
export function containerSpec(
  item: DesiredInstance,
  spec: ServiceSpec,
  container: { handle: string; ip: string },
): ContainerSpec {
  const { limits } = spec
  return {
    handle: container.handle,
    image: { uri: `croft:${spec.image}` },
    network: container.ip,
    hostname: `${item.appName}-${item.type}-${item.slot}`.slice(-MAX_HOSTNAME).replace(/^-+/, ''),
    properties: { [OWNER_PROPERTY]: OWNER, [INSTANCE_PROPERTY]: item.id, [APP_PROPERTY]: item.appId },
    limits: {
      memory: { limitBytes: limits.memoryBytes },
      cpu: {
        limitInShares: limits.cpuShares,
        ...(limits.cpuQuotaMillis !== null && { quotaMillis: limits.cpuQuotaMillis }),
      },
      pids: { max: limits.pids },
      disk: { byteHard: limits.diskBytes, scope: 'exclusive' },
    },
  }
}
