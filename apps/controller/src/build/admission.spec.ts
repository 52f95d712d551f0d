import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { admit, buildMemoryBytes, freeBytes, type BuilderNode } from './admission.js'

const GIB = 1024 ** 3
const node = (name: string, some: Partial<BuilderNode> = {}): BuilderNode => ({
  name,
  totalBytes: 8 * GIB,
  availableBytes: 6 * GIB,
  builds: [],
  ...some,
})
const running = (limit: number, used: number) => ({ limitBytes: limit * GIB, usedBytes: used * GIB })

describe('the memory a node has for a build', () => {
  it.each<[string, Partial<BuilderNode>, number]>([
    ['is what is available', {}, 6],
    ['is less what other builds may still claim', { builds: [running(2, 0.5), running(1, 0)] }, 3.5],
    ['is not less what a build uses already', { builds: [running(2, 2)] }, 6],
    ['is not more for a build that uses more than it may', { builds: [running(1, 2)] }, 6],
    [
      'is all but what is used and claimed, where the node does not say',
      { availableBytes: null, builds: [running(2, 1)] },
      6,
    ],
    ['is nothing where builds may claim more than there is', { builds: [running(9, 0)] }, 0],
  ])('%s', (_what, some, gib) => {
    expect(freeBytes(node('one', some))).toBe(gib * GIB)
  })
})

describe('a build', () => {
  it('has room on any one node that has as much free', () => {
    const full = node('one', { builds: [running(5, 0)] })
    expect(admit(2 * GIB, [full, node('two')])).toEqual({ kind: 'room' })
  })
  it('waits for the node that has most, and is told how much', () => {
    const nodes = [node('one', { availableBytes: 1.29 * GIB }), node('two', { builds: [running(5, 0)] })]
    expect(admit(2 * GIB, nodes)).toEqual({ kind: 'waits', why: '2 GiB of memory: one has 1.2 GiB free' })
  })
  it('that fits no node, however empty, never waits', () => {
    const nodes = [node('one', { totalBytes: 1.5 * GIB, availableBytes: GIB })]
    expect(admit(2 * GIB, nodes)).toEqual({
      kind: 'never',
      message: 'a build may use 2 GiB of memory, and no node has as much (one, the largest: 1.5 GiB)',
      suggestion: 'let builds use less: croft settings:set build-memory=MIB',
    })
  })
  it('is left to placing where there is no node', () => {
    expect(admit(2 * GIB, [])).toEqual({ kind: 'room' })
  })
  it('that has room has it also when every other build takes what it may', () => {
    const gib = fc.integer({ min: 0, max: 16 }).map((n) => n * GIB)
    const builds = fc.array(fc.record({ limitBytes: gib, usedBytes: gib }), { maxLength: 5 })
    fc.assert(
      fc.property(gib, gib, builds, (need, available, all) => {
        const one = node('one', { totalBytes: 64 * GIB, availableBytes: available, builds: all })
        if (admit(need, [one]).kind !== 'room') return
        const grown = all.reduce((sum, { limitBytes, usedBytes }) => sum + Math.max(0, limitBytes - usedBytes), 0)
        expect(need === 0 || available - grown >= need).toBe(true)
      }),
    )
  })
})

describe('what a build may use', () => {
  it.each([
    [null, [8], 2 * GIB],
    [null, [2], GIB],
    [null, [1, 3], 1.5 * GIB],
    [null, [], 2 * GIB],
    [512, [8], GIB / 2],
    [8192, [1], 8 * GIB],
  ])('of %s MiB set, on nodes of %j GiB: %d bytes', (set, totals, bytes) => {
    expect(
      buildMemoryBytes(
        set,
        totals.map((total) => ({ totalBytes: total * GIB })),
      ),
    ).toBe(bytes)
  })
})
