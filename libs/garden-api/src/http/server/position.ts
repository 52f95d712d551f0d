import { NotSupportedError } from '../../errors.js'
import { POSITION_HEADER, positionText } from '../codec/event.js'
import type { Call } from './call.js'
import type { Route } from './route.js'

/** Calls whose answers tell of containers. */
const TELLING = new Set(['List', 'Lookup', 'Info', 'Metrics', 'BulkInfo', 'BulkMetrics'])

/** Such a call's answer says where among the events it stands: read before it, so that none in between is missed. */
export function withPosition(route: Route): Route {
  if (!TELLING.has(route.name)) return route
  return {
    ...route,
    handle: async (call) => {
      await setPosition(call)
      return await route.handle(call)
    },
  }
}

async function setPosition({ backend, res }: Call): Promise<void> {
  try {
    res.setHeader(POSITION_HEADER, positionText(await backend.eventPosition()))
  } catch (error) {
    if (!(error instanceof NotSupportedError)) throw error // a foreign server behind the backend has no events
  }
}
