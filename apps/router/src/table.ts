import type { Endpoint, Route } from '@croft/protocol'

/** Why a pool has no endpoints; decides the error page. */
export type IdleReason = NonNullable<Route['idleReason']>

/** The endpoints that a set of routes of one app share; becomes one HAProxy backend. */
export interface Pool {
  appName: string
  /** Keys of the route map, `<host><path prefix>`, each ending in a slash. */
  prefixes: string[]
  /** Distinct addresses. */
  endpoints: Endpoint[]
  idleReason: IdleReason | null
}

/** A table as the router serves it. */
export interface Table {
  pools: Pool[]
  /** Routes left out, and why; the rest is served all the same. */
  refused: { route: string; why: string }[]
}

const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/
/** Narrower than RFC 3986: a prefix becomes a word of a map file and of a runtime command. */
const PATH_PREFIX = /^\/[A-Za-z0-9._~@%/-]*$/
const APP_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]):\d{1,5}$/

/**
 * Groups routes into pools. Routes of one app with the same endpoints share a pool, so that balancing sees all their requests.
 * A malformed route, one for a host of the platform itself, and the second of two with the same host and prefix are refused.
 */
export function poolsOf(routes: readonly Route[], platformHosts: ReadonlySet<string>): Table {
  const pools = new Map<string, Pool>()
  const refused: Table['refused'] = []
  const seen = new Set<string>()
  for (const route of routes) {
    const prefix = prefixOf(route)
    const why = faultOf(route, platformHosts) ?? (seen.has(prefix) ? 'another route has the same host and path' : null)
    if (why !== null) {
      refused.push({ route: `${route.host}${route.pathPrefix}`, why })
      continue
    }
    seen.add(prefix)
    const endpoints = distinct(route.endpoints)
    const idleReason = endpoints.length > 0 ? null : (route.idleReason ?? 'starting')
    const addresses = endpoints.map((endpoint) => endpoint.address).toSorted()
    const key = [route.appId, idleReason, ...addresses].join(' ')
    const pool = pools.get(key)
    if (pool === undefined) pools.set(key, { appName: route.appName, prefixes: [prefix], endpoints, idleReason })
    else pool.prefixes.push(prefix)
  }
  return { pools: [...pools.values()], refused }
}

/** The route map's key: matching whole path segments is a matter of the closing slash. */
function prefixOf(route: Route): string {
  return route.host + route.pathPrefix.replace(/\/*$/, '/')
}

function faultOf(route: Route, platformHosts: ReadonlySet<string>): string | null {
  if (platformHosts.has(route.host)) return 'the host belongs to the platform'
  if (!HOST.test(route.host)) return 'not a host name'
  if (!PATH_PREFIX.test(route.pathPrefix)) return 'not a path prefix'
  if (!APP_NAME.test(route.appName)) return 'not an app name'
  const odd = route.endpoints.find((endpoint) => !ADDRESS.test(endpoint.address))
  return odd === undefined ? null : `not an address: ${odd.address}`
}

function distinct(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [endpoint.address, endpoint])).values()]
}
