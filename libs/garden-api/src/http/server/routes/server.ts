import { capacityToWire } from '../../codec/facts.js'
import { API } from '../../features.js'
import type { Route } from '../route.js'

export const SERVER_ROUTES: readonly Route[] = [
  {
    name: 'Ping',
    method: 'GET',
    path: '/ping',
    handle: async ({ backend, context }) => {
      await backend.ping()
      return { api: API, features: context.features }
    },
  },
  {
    name: 'Capacity',
    method: 'GET',
    path: '/capacity',
    handle: async ({ backend }) => capacityToWire(await backend.capacity()),
  },
  {
    name: 'Capabilities',
    method: 'GET',
    path: '/capabilities',
    feature: 'capabilities',
    handle: async ({ backend }) => await backend.capabilities(),
  },
]
