import type { InstanceId, NodeId } from '@croft/kit'
import type { WorldInstance, World } from './world.js'
import { takesPlacements, type NodeHealth } from './node-health.js'
import { place, type PlacedInstance, type Placement, type PlaceRequest } from './place.js'

/** Where instances of a world go. Pure. */

type Shape = Pick<WorldInstance, 'appId' | 'type' | 'slot' | 'kind' | 'limits'>

/** An instance as its placing sees it. */
export function shapeOf(instance: Shape): Omit<PlacedInstance, 'nodeId'> {
  return {
    appId: instance.appId,
    type: instance.type,
    slot: instance.slot,
    memoryBytes: instance.limits.memoryBytes,
    isOneShot: instance.kind !== 'service',
  }
}

/** Places requests on the nodes of a world beside what is there. `taken`: what was placed since it was read. */
export function placements(
  requests: readonly Omit<PlaceRequest, 'preferredNode'>[],
  world: World,
  health: NodeHealth,
  taken: readonly PlacedInstance[] = [],
): Placement[] {
  const placed = world.instances.flatMap((instance) =>
    instance.nodeId === null ? [] : [{ ...shapeOf(instance), nodeId: instance.nodeId }],
  )
  return place(
    requests.map((request) => ({ ...request, preferredNode: null })),
    world.nodes.map((node) => ({
      id: node.id,
      name: node.name,
      isOpen: takesPlacements(node, health.states.get(node.id) ?? 'joining'),
      memoryBytes: node.capacity.memoryBytes,
      maxInstances: node.capacity.maxInstances,
    })),
    [...placed, ...taken],
  )
}

/**
 * The node of one more instance, so that it can be inserted there and its node hears of it with the commit. Null when there is none for
 * it, and while others wait for room: then the reconciler decides for all of them.
 */
export function placementOf(
  shape: Omit<PlacedInstance, 'nodeId'>,
  world: World,
  health: NodeHealth,
  taken: readonly PlacedInstance[] = [],
): NodeId | null {
  if (world.instances.some(({ intent, nodeId }) => intent === 'run' && nodeId === null)) return null
  const [placement] = placements([{ ...shape, instanceId: '' as InstanceId }], world, health, taken)
  return placement?.kind === 'placed' ? placement.nodeId : null
}
