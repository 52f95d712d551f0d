import type { NodeId } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { nodeHealth, takesPlacements, type NodeLease, type NodeState } from './node-health.js'

const NOW = 1_000_000
const node = (name: string, silentMs: number | null, marks: Partial<NodeLease> = {}): NodeLease => ({
  id: name as NodeId,
  lastReportAtMs: silentMs === null ? null : NOW - silentMs,
  isCordoned: false,
  isDraining: false,
  hasInstances: true,
  ...marks,
})
const clock = { nowMs: NOW, controllerStartedAtMs: 0, timeScale: 1 }
const stateOf = (nodes: NodeLease[], name: string, at = clock): NodeState | undefined =>
  nodeHealth(nodes, at).states.get(name as NodeId)

describe('a node', () => {
  it.each<[NodeState, number | null]>([
    ['joining', null],
    ['ready', 0],
    ['ready', 4_000],
    ['suspect', 4_001],
    ['suspect', 10_000],
    ['lost', 10_001],
  ])('is %s when it has been silent for %s ms', (state, silentMs) => {
    expect(stateOf([node('a', silentMs), node('b', 0), node('c', 0)], 'a')).toBe(state)
  })

  it('that is the only one is never lost', () => {
    expect(stateOf([node('a', 3_600_000)], 'a')).toBe('suspect')
  })

  it('is not blamed for the absence of the controller', () => {
    const at = { ...clock, controllerStartedAtMs: NOW - 3_000 }
    expect(stateOf([node('a', 60_000), node('b', 60_000)], 'a', at)).toBe('ready')
  })

  it('with a drain mark is draining until nothing runs there', () => {
    expect(stateOf([node('a', 0, { isDraining: true })], 'a')).toBe('draining')
    expect(stateOf([node('a', 0, { isDraining: true, hasInstances: false })], 'a')).toBe('drained')
  })

  it('takes placements only when ready and not cordoned', () => {
    expect(takesPlacements({ isCordoned: false }, 'ready')).toBe(true)
    expect(takesPlacements({ isCordoned: true }, 'ready')).toBe(false)
    for (const state of ['joining', 'suspect', 'lost', 'draining', 'drained'] as const) {
      expect(takesPlacements({ isCordoned: false }, state)).toBe(false)
    }
  })
})

describe('a mass loss', () => {
  it.each([
    [true, [20_000, 20_000]],
    [false, [20_000, 0]],
    [true, [20_000, 20_000, 0]],
    [false, [20_000, 0, 0]],
    [false, [20_000]],
  ])('is %s when nodes have been silent for %j ms', (isMassLoss, silences) => {
    const nodes = silences.map((silentMs, index) => node(`n${index}`, silentMs))
    expect(nodeHealth(nodes, clock).isMassLoss).toBe(isMassLoss)
  })
})
