import { processInfoToWire } from '../../codec/process-info.js'
import type { Route } from '../route.js'

const PATH = '/containers/:handle/processes'

export const PROCESS_ROUTES: readonly Route[] = [
  {
    name: 'Processes',
    method: 'GET',
    path: PATH,
    feature: 'processes',
    handle: async (call) => ({
      processes: (await (await call.container()).processes()).map((process) => processInfoToWire(process)),
    }),
  },
]
