import type { InstanceId } from '@croft/kit'

/** How an instance nobody wants ends: drained, acknowledged by every router, stopped, gone. Pure. */

/** A router that acknowledged nothing for this long keeps what it may still route to alive, and somebody is told. */
export const ROUTER_SILENT_MS = 30_000

export interface RouterAck {
  id: string
  /** Revision of the table it serves; 0 for one of another epoch. */
  appliedRevision: number
  /** Instances that left its table and still carry requests. */
  busyInstances: ReadonlySet<string>
  silentMs: number
}

export interface RetiringInstance {
  id: InstanceId
  intent: 'drain' | 'stop'
  hasTraffic: boolean
  /** The first table without it. */
  drainRevision: number | null
  drainingForMs: number
  /** How long requests in flight may go on. */
  drainMs: number
  /** It has no node, or its node says nothing of it, or says that it has ended. */
  isEnded: boolean
  isPlaced: boolean
}

export interface Retirement {
  stop: InstanceId[]
  gone: InstanceId[]
  /** Routers that hold instances back by their silence. */
  silentRouters: string[]
}

export function retire(instances: readonly RetiringInstance[], routers: readonly RouterAck[]): Retirement {
  const result: Retirement = { stop: [], gone: [], silentRouters: [] }
  const silent = new Set<string>()
  for (const instance of instances) {
    if (instance.intent === 'stop') {
      if (instance.isEnded) result.gone.push(instance.id)
      continue
    }
    const waitingFor = routersThatMayRouteTo(instance, routers)
    for (const router of waitingFor) if (router.silentMs > ROUTER_SILENT_MS) silent.add(router.id)
    if (waitingFor.length > 0) continue
    const isBusy = routers.some((router) => router.busyInstances.has(instance.id))
    if (!isBusy || !instance.hasTraffic || instance.drainingForMs >= instance.drainMs) result.stop.push(instance.id)
  }
  result.silentRouters = [...silent].toSorted()
  return result
}

/** Routers whose table may still have the instance; one that never had a node never was in a table. */
function routersThatMayRouteTo(instance: RetiringInstance, routers: readonly RouterAck[]): RouterAck[] {
  if (!instance.hasTraffic || !instance.isPlaced) return []
  return routers.filter((router) => router.appliedRevision < (instance.drainRevision ?? Number.POSITIVE_INFINITY))
}
