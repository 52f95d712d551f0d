import type { AppId, InstanceId, NodeId } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { place, type PlaceableNode, type PlacedInstance, type PlaceRequest } from './place.js'

const MIB = 1024 * 1024
const node = (name: string, mib: number, changes: Partial<PlaceableNode> = {}): PlaceableNode => ({
  id: name as NodeId,
  name,
  isOpen: true,
  memoryBytes: mib * MIB,
  maxInstances: 100,
  ...changes,
})
const request = (slot: number, changes: Partial<PlaceRequest> = {}): PlaceRequest => ({
  instanceId: `i${slot}` as InstanceId,
  appId: 'shop' as AppId,
  type: 'web',
  slot,
  memoryBytes: 512 * MIB,
  isOneShot: false,
  preferredNode: null,
  ...changes,
})
const held = (on: string, slot: number, changes: Partial<PlacedInstance> = {}): PlacedInstance => ({
  nodeId: on as NodeId,
  appId: 'shop' as AppId,
  type: 'web',
  slot,
  memoryBytes: 512 * MIB,
  isOneShot: false,
  ...changes,
})
const nodesOf = (placements: ReturnType<typeof place>): string[] =>
  placements.map((placement) => (placement.kind === 'placed' ? placement.nodeId : placement.error))

describe('placement', () => {
  it('spreads the instances of a process type over the nodes', () => {
    const nodes = [node('a', 4096), node('b', 4096), node('c', 4096)]
    expect(nodesOf(place([request(1), request(2), request(3), request(4)], nodes, [])).toSorted()).toEqual([
      'a',
      'a',
      'b',
      'c',
    ])
  })

  it('puts the next one where the fewest of its kind are, then where most memory is free', () => {
    const nodes = [node('a', 8192), node('b', 2048), node('c', 4096)]
    expect(nodesOf(place([request(2)], nodes, [held('a', 1)]))).toEqual(['c'])
  })

  it('names what is missing and what there is when no node has room', () => {
    const full = place([request(2)], [node('a', 892), node('b', 600)], [held('a', 1), held('b', 3)])
    expect(nodesOf(full)).toEqual(['no node has 512 MiB free (largest 380 MiB); scale down or add one'])
  })

  it.each([
    ['no node has joined this platform yet; look at the log of the executor', []],
    ['no node is ready; croft status says more', [node('a', 4096, { isOpen: false })]],
    ['every node has as many instances as it can (1); scale down or add one', [node('a', 4096, { maxInstances: 1 })]],
  ])('says: %s', (text, nodes) => {
    expect(nodesOf(place([request(2)], nodes, [held('a', 1)]))).toEqual([text])
  })

  it('lets the instance that replaces another one of its slot use its reservation', () => {
    const nodes = [node('a', 600)]
    expect(nodesOf(place([request(1)], nodes, [held('a', 1)]))).toEqual(['a'])
    expect(nodesOf(place([request(2)], nodes, [held('a', 1)]))).toEqual([
      'no node has 512 MiB free (largest 88 MiB); scale down or add one',
    ])
  })

  it('reserves nothing for a build, and prefers the node that has its caches', () => {
    const build = request(1, { isOneShot: true, type: 'build', memoryBytes: 2048 * MIB, preferredNode: 'b' as NodeId })
    expect(nodesOf(place([build], [node('a', 4096), node('b', 1024)], []))).toEqual(['b'])
  })
})
