import { withPosition } from './position.js'
import type { Route } from './route.js'
import { BULK_ROUTES } from './routes/bulk.js'
import { CONTAINER_ROUTES } from './routes/containers.js'
import { EVENT_ROUTES } from './routes/events.js'
import { FILE_ROUTES } from './routes/files.js'
import { LEASE_ROUTES } from './routes/lease.js'
import { LIMIT_ROUTES } from './routes/limits.js'
import { METRICS_STREAM_ROUTES } from './routes/metrics-stream.js'
import { NETWORK_ROUTES } from './routes/network.js'
import { PROCESS_ROUTES } from './routes/processes.js'
import { PROPERTY_ROUTES } from './routes/properties.js'
import { SERVER_ROUTES } from './routes/server.js'

/** Every call of the wire protocol: Garden's 27, and Croft's own, each of which names its feature. */
export const ROUTES: readonly Route[] = [
  ...SERVER_ROUTES,
  ...CONTAINER_ROUTES,
  ...BULK_ROUTES,
  ...PROPERTY_ROUTES,
  ...LIMIT_ROUTES,
  ...NETWORK_ROUTES,
  ...FILE_ROUTES,
  ...PROCESS_ROUTES,
  ...LEASE_ROUTES,
  ...EVENT_ROUTES,
  ...METRICS_STREAM_ROUTES,
].map(withPosition)
