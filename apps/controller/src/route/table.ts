import type { AppId, InstanceId } from '@croft/kit'
import type { Intent, Observed, Route } from '@croft/protocol'
import { hasTraffic } from '../release/service-spec.js'

/** The route table, derived from rows whenever somebody reads it. Pure. */

export interface RoutedApp {
  id: AppId
  name: string
  /** Wanted instances of the type with traffic: 0 when it is scaled to zero, stopped or never released. */
  wanted: number
}

export interface RoutedInstance {
  id: InstanceId
  appId: AppId
  type: string
  intent: Intent
  /** What its node said since that node's boot. */
  observed: Observed | null
  address: string | null
  releaseVersion: number | null
  isNodeLost: boolean
}

export interface TableInput {
  domain: string
  apps: readonly RoutedApp[]
  /** Hosts and path prefixes beside the host every app has by its name. */
  hosts: readonly { appId: AppId; host: string; pathPrefix: string }[]
  instances: readonly RoutedInstance[]
}

const WEIGHT = 100

/** Every host with the endpoints of its app, in a stable order. The platform's own hosts are the router's business. */
export function routeTable(input: TableInput): Route[] {
  const byApp = Map.groupBy(
    input.instances.filter((instance) => hasTraffic(instance.type)),
    (instance) => instance.appId,
  )
  const hostsByApp = Map.groupBy(input.hosts, (host) => host.appId)
  return input.apps
    .flatMap((app): Route[] => {
      const instances = byApp.get(app.id) ?? []
      const endpoints = endpointsOf(instances)
      const idleReason = endpoints.length > 0 ? null : whyIdle(app, instances)
      const hosts = [{ host: `${app.name}.${input.domain}`, pathPrefix: '/' }, ...(hostsByApp.get(app.id) ?? [])]
      return hosts.map(({ host, pathPrefix }) => ({
        host: host.toLowerCase(),
        pathPrefix,
        appId: app.id,
        appName: app.name,
        idleReason,
        endpoints,
      }))
    })
    .toSorted((a, b) => compare(a.host, b.host) || compare(a.pathPrefix, b.pathPrefix))
}

/** Only what is wanted, ready and on a node that is there. */
function endpointsOf(instances: readonly RoutedInstance[]): Route['endpoints'] {
  return instances
    .flatMap((instance) => {
      const { address, releaseVersion } = instance
      if (!isEndpoint(instance) || address === null || releaseVersion === null) return []
      return [{ address, instanceId: instance.id, releaseVersion, weight: WEIGHT }]
    })
    .toSorted((a, b) => compare(a.instanceId, b.instanceId))
}

function isEndpoint(instance: RoutedInstance): boolean {
  return instance.intent === 'run' && instance.observed === 'ready' && !instance.isNodeLost
}

function whyIdle(app: RoutedApp, instances: readonly RoutedInstance[]): NonNullable<Route['idleReason']> {
  if (app.wanted === 0) return 'scaled-to-zero'
  const running = instances.filter((instance) => instance.intent === 'run')
  return running.length > 0 && running.every((instance) => instance.observed === 'backoff') ? 'crashed' : 'starting'
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** What of one instance's status shows in a table: two equal ones need no new table. */
export function routingFootprint(type: string, observed: Observed | null, address: string | null): string {
  if (!hasTraffic(type)) return ''
  if (observed === 'ready') return `ready ${address}`
  return observed === 'backoff' ? 'backoff' : 'idle'
}
