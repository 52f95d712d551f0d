import type { AppId, InstanceId, NodeId } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import type { NodeState } from './node-health.js'
import { placements, shapeOf } from './placements.js'
import type { World, WorldInstance, WorldNode } from './world.js'

const MIB = 1024 * 1024
const A = 'a' as NodeId
const B = 'b' as NodeId

function node(id: NodeId, mib: number): WorldNode {
  const capacity = { memoryBytes: mib * MIB, diskBytes: 0, cpuMillis: 1_000, maxInstances: 10 }
  return { id, name: id, capacity, lastReportAtMs: 0, isCordoned: false, isDraining: false }
}

function shape(app: string, mib: number, kind: WorldInstance['kind'] = 'service') {
  const limits = { memoryBytes: mib * MIB } as WorldInstance['limits']
  return shapeOf({ appId: app as AppId, type: 'web', slot: 1, kind, limits })
}

const health = (states: Record<string, NodeState>) => ({
  states: new Map(Object.entries(states) as [NodeId, NodeState][]),
  isMassLoss: false,
})
const world = (...nodes: WorldNode[]) => ({ nodes, instances: [] as WorldInstance[] }) as unknown as World
const request = (mib: number) => ({ ...shape('one', mib), instanceId: '1' as InstanceId })

describe('the placing of what a deployment starts', () => {
  it('counts what was placed since the world was read', () => {
    const nodes = world(node(A, 1_000), node(B, 900))
    const ready = health({ a: 'ready', b: 'ready' })
    expect(placements([request(512)], nodes, ready)).toMatchObject([{ kind: 'placed', nodeId: A }])
    const taken = [{ ...shape('other', 600), nodeId: A }]
    expect(placements([request(512)], nodes, ready, taken)).toMatchObject([{ kind: 'placed', nodeId: B }])
    const full = [...taken, { ...shape('third', 600), nodeId: B }]
    expect(placements([request(512)], nodes, ready, full)).toMatchObject([{ kind: 'unplaceable' }])
  })
  it('passes over a node that is not ready, or not known', () => {
    const nodes = world(node(A, 1_000), node(B, 900))
    expect(placements([request(512)], nodes, health({ a: 'suspect', b: 'ready' }))).toMatchObject([{ nodeId: B }])
    expect(placements([request(512)], nodes, health({ a: 'suspect' }))).toMatchObject([{ kind: 'unplaceable' }])
  })
  it('reserves nothing for builds', () => {
    const taken = [{ ...shape('other', 900, 'build'), nodeId: A }]
    const placed = placements([request(512)], world(node(A, 1_000)), health({ a: 'ready' }), taken)
    expect(placed).toMatchObject([{ kind: 'placed' }])
  })
})
