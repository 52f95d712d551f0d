import { decodeLease, leaseToWire } from '../../codec/event.js'
import type { Route } from '../route.js'

const PATH = '/containers/:handle/lease'

export const LEASE_ROUTES: readonly Route[] = [
  {
    name: 'Lease',
    method: 'GET',
    path: PATH,
    feature: 'lease',
    handle: async (call) => leaseToWire(await (await call.container()).lease()),
  },
  {
    name: 'SetLease',
    method: 'PUT',
    path: PATH,
    feature: 'lease',
    handle: async (call) => {
      const container = await call.container()
      const lease = decodeLease(await call.json(), call.context.clock.now())
      await container.setLease(lease)
      return leaseToWire(lease)
    },
  },
  {
    name: 'EndLease',
    method: 'DELETE',
    path: PATH,
    feature: 'lease',
    handle: async (call) => {
      await (await call.container()).setLease(null)
      return leaseToWire(null)
    },
  },
]
