import type { InstanceId } from '@croft/kit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffApp, mayDrop, type AppSituation, type RunningInstance } from './diff.js'

const instance = (name: string, changes: Partial<RunningInstance> = {}): RunningInstance => ({
  id: name as InstanceId,
  type: 'web',
  slot: 1,
  releaseVersion: 1,
  isReady: true,
  node: 'present',
  createdAtMs: 0,
  ...changes,
})
const situation = (changes: Partial<AppSituation> = {}): AppSituation => ({
  wanted: [{ type: 'web', slot: 1 }],
  version: 1,
  isDeploying: false,
  instances: [],
  ...changes,
})

describe('slots of an app that rests', () => {
  it('that are empty are filled with the release that serves', () => {
    expect(diffApp(situation()).start).toEqual([{ type: 'web', slot: 1, releaseVersion: 1 }])
  })

  it('that are filled are left alone', () => {
    expect(diffApp(situation({ instances: [instance('a')] }))).toEqual({ start: [], drain: [], drop: [] })
  })

  it('that nobody wants any more are drained', () => {
    const instances = [instance('a'), instance('b', { slot: 2 }), instance('c', { type: 'worker' })]
    expect(diffApp(situation({ instances })).drain).toEqual(['b', 'c'])
    expect(diffApp(situation({ wanted: [], version: null, instances })).drain).toEqual(['a', 'b', 'c'])
  })

  it('with an instance too many keep the one that serves, then the older one', () => {
    expect(
      diffApp(situation({ instances: [instance('a', { isReady: false }), instance('b', { createdAtMs: 5 })] })).drain,
    ).toEqual(['a'])
    expect(
      diffApp(situation({ instances: [instance('a', { createdAtMs: 9 }), instance('b', { createdAtMs: 5 })] })).drain,
    ).toEqual(['a'])
  })

  it('with another release in them keep it until the right one is ready', () => {
    const stray = instance('stray', { releaseVersion: 2 })
    expect(diffApp(situation({ instances: [stray] }))).toMatchObject({ start: [{ releaseVersion: 1 }], drain: [] })
    expect(diffApp(situation({ instances: [stray, instance('right', { isReady: false })] })).drain).toEqual([])
    expect(diffApp(situation({ instances: [stray, instance('right')] })).drain).toEqual(['stray'])
  })
})

describe('an instance whose node is silent', () => {
  const away = instance('away', { node: 'lost' })
  it('is kept until the node is lost, although its replacement serves', () => {
    const instances = [{ ...away, node: 'suspect' as const }, instance('new')]
    for (const isDeploying of [true, false]) {
      expect(diffApp(situation({ isDeploying, instances }))).toEqual({ start: [], drain: [], drop: [] })
    }
  })

  it('that comes back leaves one of the two', () => {
    expect(diffApp(situation({ instances: [instance('back'), instance('new', { createdAtMs: 5 })] })).drain).toEqual([
      'new',
    ])
  })

  it.each([false, true])(
    'is replaced, and given up only when the replacement serves (deploying: %s)',
    (isDeploying) => {
      expect(diffApp(situation({ isDeploying, instances: [away] }))).toEqual({
        start: [{ type: 'web', slot: 1, releaseVersion: 1 }],
        drain: [],
        drop: [],
      })
      const starting = instance('new', { isReady: false })
      expect(diffApp(situation({ isDeploying, instances: [away, starting] }))).toEqual({
        start: [],
        drain: [],
        drop: [],
      })
      const ready = { ...starting, isReady: true }
      expect(diffApp(situation({ isDeploying, instances: [away, ready] })).drop).toEqual(['away'])
    },
  )
})

describe('an app that is being deployed', () => {
  it('is left to the deployer', () => {
    const instances = [instance('a', { slot: 9 }), instance('b', { releaseVersion: 2 })]
    expect(diffApp(situation({ isDeploying: true, instances }))).toEqual({ start: [], drain: [], drop: [] })
  })
})

describe('a pass', () => {
  it.each([
    [true, 5, 6, false],
    [true, 20, 100, false],
    [false, 21, 100, false],
    [false, 1, 100, true],
  ])('may drop: %s for %d of %d instances (mass loss: %s)', (may, drops, all, isMassLoss) => {
    expect(mayDrop(drops, all, isMassLoss)).toBe(may)
  })

  it('never drains the last ready instance of a wanted slot, and leads to exactly what is wanted', () => {
    const arbitrary = fc.record({
      slot: fc.integer({ min: 1, max: 3 }),
      releaseVersion: fc.integer({ min: 1, max: 2 }),
      isReady: fc.boolean(),
      node: fc.constantFrom('present' as const, 'suspect' as const, 'lost' as const),
      createdAtMs: fc.nat(100),
    })
    fc.assert(
      fc.property(fc.array(arbitrary, { maxLength: 12 }), fc.integer({ min: 0, max: 3 }), (some, quantity) => {
        const wanted = Array.from({ length: quantity }, (_, index) => ({ type: 'web', slot: index + 1 }))
        let instances = some.map((one, index) => instance(`i${index}`, one))
        for (let pass = 0; pass < 4; pass += 1) {
          const diff = diffApp(situation({ wanted, instances }))
          const leaving = new Set([...diff.drain, ...diff.drop])
          for (const slot of wanted) {
            const ready = instances.filter((one) => one.slot === slot.slot && one.isReady && one.node === 'present')
            if (ready.length > 0) expect(ready.some((one) => !leaving.has(one.id))).toBe(true)
          }
          instances = [
            ...instances.filter((one) => !leaving.has(one.id)),
            ...diff.start.map((slot, index) => instance(`p${pass}-${index}`, { ...slot, isReady: false })),
          ].map((one) => ({ ...one, isReady: true }))
        }
        const present = instances.filter((one) => one.node === 'present')
        expect(present.map((one) => one.slot).toSorted((a, b) => a - b)).toEqual(wanted.map((slot) => slot.slot))
        expect(present.every((one) => one.releaseVersion === 1)).toBe(true)
      }),
      { seed: 2 },
    )
  })
})
