import type { AppId, NodeId } from '@croft/kit'
import type { WorldApp, WorldDeployment, WorldInstance, WorldRouter, World } from './world.js'
import { wantedSlots, type WantedSlot } from './desired.js'
import { nodeHealth, type NodeHealth } from './node-health.js'
import type { RouterAck } from './retire.js'

/** What the decisions ask of a world. Pure. */

export interface LoopClock {
  /** When this controller began, on the database's clock. */
  controllerStartedAtMs: number
  /** Tests only: long waits are divided by it. */
  timeScale: number
}

export function healthOf(world: World, clock: LoopClock): NodeHealth {
  const busy = new Set(world.instances.map((instance) => instance.nodeId))
  return nodeHealth(
    world.nodes.map((node) => ({ ...node, hasInstances: busy.has(node.id) })),
    { nowMs: world.nowMs, ...clock },
  )
}

/** How the diff sees a node. With one node there is no elsewhere, so its instances are never replaced. */
export function presenceOf(world: World, health: NodeHealth, nodeId: NodeId | null): 'present' | 'suspect' | 'lost' {
  const state = nodeId === null ? undefined : health.states.get(nodeId)
  if (world.nodes.length < 2) return 'present'
  return state === 'suspect' || state === 'lost' ? state : 'present'
}

/** The slots of one release of an app by its present formation. */
export function slotsOf(app: WorldApp, version: number | null): WantedSlot[] {
  return wantedSlots({
    isDestroyed: app.isDestroyed,
    isStopped: app.settings.isStopped === true,
    formation: app.formation,
    processTypes: version === null ? null : (app.releases.get(version)?.processTypes ?? null),
  })
}

/** An instance of this deployment, not of the same release from before it (a restart). */
export function isOfDeployment(instance: WorldInstance, deployment: WorldDeployment): boolean {
  return instance.releaseVersion === deployment.releaseVersion && instance.createdAtMs > deployment.createdAtMs
}

export function servicesOf(world: World): ReadonlyMap<AppId, WorldInstance[]> {
  return Map.groupBy(
    world.instances.filter((instance) => instance.kind === 'service'),
    (instance) => instance.appId,
  )
}

/** What a router acknowledged counts only for this database. */
export function ackOf(router: WorldRouter, world: World, epoch: string, timeScale: number): RouterAck {
  return {
    id: router.id,
    appliedRevision: router.epoch === epoch ? router.appliedRevision : 0,
    busyInstances: new Set(router.busyInstances),
    silentMs: Math.max(0, world.nowMs - router.lastPollAtMs) * timeScale,
  }
}
