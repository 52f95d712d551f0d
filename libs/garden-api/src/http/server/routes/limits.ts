import { decodeLiveLimits, limitsToWire, ONE_LIMIT } from '../../codec/limits.js'
import type { Route } from '../route.js'

const PATH = '/containers/:handle/limits'

const one = (name: string, kind: keyof typeof ONE_LIMIT): Route => ({
  name,
  method: 'GET',
  path: `${PATH}/${kind}`,
  handle: async (call) => ONE_LIMIT[kind](await (await call.container()).limits()),
})

export const LIMIT_ROUTES: readonly Route[] = [
  one('CurrentBandwidthLimits', 'bandwidth'),
  one('CurrentCPULimits', 'cpu'),
  one('CurrentDiskLimits', 'disk'),
  one('CurrentMemoryLimits', 'memory'),
  {
    name: 'Limits',
    method: 'GET',
    path: PATH,
    feature: 'limits',
    handle: async (call) => limitsToWire(await (await call.container()).limits()),
  },
  {
    name: 'ChangeLimits',
    method: 'PATCH',
    path: PATH,
    feature: 'limits',
    handle: async (call) => {
      const container = await call.container()
      await container.changeLimits(decodeLiveLimits(await call.json()))
      return {}
    },
  },
]
