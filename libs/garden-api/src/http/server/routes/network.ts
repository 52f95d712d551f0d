import { decodeNetIn, decodeNetOutRule, decodeNetOutRules } from '../../codec/network.js'
import { netInOnce } from '../idempotency.js'
import type { Route } from '../route.js'

export const NETWORK_ROUTES: readonly Route[] = [
  {
    name: 'NetIn',
    method: 'POST',
    path: '/containers/:handle/net/in',
    handle: async (call) => {
      const container = await call.container()
      const mapped = await netInOnce(call, container, decodeNetIn(await call.json()))
      return { host_port: mapped.hostPort, container_port: mapped.containerPort }
    },
  },
  {
    name: 'NetOut',
    method: 'POST',
    path: '/containers/:handle/net/out',
    handle: async (call) => {
      const container = await call.container()
      await container.netOut([decodeNetOutRule(await call.json())])
      return {}
    },
  },
  {
    name: 'BulkNetOut',
    method: 'POST',
    path: '/containers/:handle/net/out/bulk',
    handle: async (call) => {
      const container = await call.container()
      await container.netOut(decodeNetOutRules(await call.json()))
      return {}
    },
  },
]
