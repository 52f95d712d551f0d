import type { AppId, InstanceId, NodeId } from '@croft/kit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { place, type PlaceableNode, type PlacedInstance, type PlaceRequest } from './place.js'

/** A fleet in memory: properties of placement that must hold for any of them, and a report card for a large one. */

const MIB = 1024 * 1024
const SIZES = [128, 256, 512, 1024]

interface Fleet {
  nodes: PlaceableNode[]
  apps: { quantity: number; mib: number }[]
}

function fleetOf(memory: readonly number[], apps: Fleet['apps']): Fleet {
  return {
    nodes: memory.map((mib, index) => ({
      id: `n${index}` as NodeId,
      name: `n${index}`,
      isOpen: true,
      memoryBytes: mib * MIB,
      maxInstances: 512,
    })),
    apps,
  }
}

function requestsOf(fleet: Fleet): PlaceRequest[] {
  return fleet.apps.flatMap(({ quantity, mib }, app) =>
    Array.from({ length: quantity }, (_, index) => ({
      instanceId: `a${app}.${index}` as InstanceId,
      appId: `a${app}` as AppId,
      type: 'web',
      slot: index + 1,
      memoryBytes: mib * MIB,
      isOneShot: false,
      preferredNode: null,
    })),
  )
}

function run(fleet: Fleet): { placed: PlacedInstance[]; errors: string[] } {
  const requests = new Map(requestsOf(fleet).map((request) => [request.instanceId, request]))
  const result = { placed: [] as PlacedInstance[], errors: [] as string[] }
  for (const placement of place([...requests.values()], fleet.nodes, [])) {
    const request = requests.get(placement.instanceId)
    if (placement.kind === 'unplaceable') result.errors.push(placement.error)
    else if (request !== undefined) result.placed.push({ ...request, nodeId: placement.nodeId })
  }
  return result
}

const fleets = fc
  .tuple(
    fc.array(fc.integer({ min: 256, max: 8_192 }), { minLength: 1, maxLength: 12 }),
    fc.array(fc.record({ quantity: fc.integer({ min: 0, max: 12 }), mib: fc.constantFrom(...SIZES) }), {
      maxLength: 10,
    }),
  )
  .map(([memory, apps]) => fleetOf(memory, apps))

describe('placement of any fleet', () => {
  it('never promises more memory than a node has', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const { placed } = run(fleet)
        for (const node of fleet.nodes) {
          const used = placed
            .filter(({ nodeId }) => nodeId === node.id)
            .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)
          expect(used).toBeLessThanOrEqual(node.memoryBytes)
        }
      }),
      { seed: 3 },
    )
  })

  it('refuses only what fits nowhere at that moment, and places everything else', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const { placed, errors } = run(fleet)
        expect(placed.length + errors.length).toBe(requestsOf(fleet).length)
        if (errors.length === 0) return
        const free = fleet.nodes.map(
          (node) =>
            node.memoryBytes -
            placed.filter(({ nodeId }) => nodeId === node.id).reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
        )
        expect(Math.max(...free)).toBeLessThan(Math.max(...SIZES) * MIB)
        for (const error of errors)
          expect(error).toMatch(/^no node has \d+ MiB free \(largest \d+ MiB\); scale down or add one$/)
      }),
      { seed: 4 },
    )
  })

  it('decides the same for the same input', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        expect(run(fleet)).toEqual(run(fleet))
      }),
      { seed: 5, numRuns: 30 },
    )
  })
})

describe('a fleet of 50 equal nodes with 200 apps of 3 instances', () => {
  const fleet = fleetOf(
    Array.from({ length: 50 }, () => 16_384),
    Array.from({ length: 200 }, (_, index) => ({ quantity: 3, mib: SIZES[index % 3] ?? 512 })),
  )
  const { placed, errors } = run(fleet)

  it('has every instance placed', () => {
    expect(errors).toEqual([])
    expect(placed).toHaveLength(600)
  })

  it('has no two instances of an app on one node', () => {
    const pairs = new Set(placed.map(({ nodeId, appId }) => `${nodeId} ${appId}`))
    expect(pairs.size).toBe(600)
  })

  it('is loaded evenly: no node holds over a fifth more than the mean', () => {
    const load = new Map<string, number>()
    for (const { nodeId, memoryBytes } of placed) load.set(nodeId, (load.get(nodeId) ?? 0) + memoryBytes)
    const mean = [...load.values()].reduce((sum, bytes) => sum + bytes, 0) / fleet.nodes.length
    expect(Math.max(...load.values())).toBeLessThan(mean * 1.2)
  })
})
