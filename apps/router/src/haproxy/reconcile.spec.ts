import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Pool } from '../table.js'
import { assign } from './assign.js'
import { reconcile, type Change } from './reconcile.js'
import { BLANK_ADDRESS, emptyMaps, shapeOf, type HaproxyState, type Slot } from './state.js'

const FIXED = new Map([['croft.localhost/', 'platform']])
const nobodyIsBusy = (): boolean => false

function pool(appName: string, addresses: string[], weight = 1): Pool {
  return {
    appName,
    prefixes: [`${appName}.localhost/`],
    endpoints: addresses.map((address) => ({ address, instanceId: address, releaseVersion: 1, weight })),
    idleReason: addresses.length === 0 ? 'crashed' : null,
  }
}

/** What HAProxy would do with a change; refuses what HAProxy or good sense would refuse. */
function applied(state: HaproxyState, change: Change, isBusy: (address: string) => boolean): HaproxyState {
  const next: HaproxyState = { slots: state.slots.map((slot) => ({ ...slot })), maps: copyOf(state) }
  if (change.kind === 'map-add' || change.kind === 'map-set') {
    expect(next.maps[change.map].has(change.key)).toBe(change.kind === 'map-set')
    next.maps[change.map].set(change.key, change.value)
    return next
  }
  if (change.kind === 'map-delete') {
    expect(next.maps[change.map].delete(change.key)).toBe(true)
    return next
  }
  const slot = next.slots.find((one) => one.backend === change.backend && one.name === change.slot)
  if (slot === undefined) throw new Error(`no slot ${change.backend}/${change.slot}`)
  if (change.kind === 'close') slot.isReady = false
  if (change.kind === 'weigh') slot.weight = change.weight
  if (change.kind === 'open') {
    expect(slot.isReady).toBe(false)
    expect(change.isMoved).toBe(slot.address !== change.address)
    if (change.isMoved) expect(isBusy(slot.address)).toBe(false)
    slot.address = change.address
    slot.weight = change.weight
    slot.isReady = true
  }
  return next
}

function copyOf(state: HaproxyState): HaproxyState['maps'] {
  return {
    routes: new Map(state.maps.routes),
    names: new Map(state.maps.names),
    idle: new Map(state.maps.idle),
  }
}

/** Ready addresses of the backend a host leads to. */
function served(state: HaproxyState, appName: string): string[] {
  const backend = state.maps.routes.get(`${appName}.localhost/`)
  return state.slots.filter((slot) => slot.backend === backend && slot.isReady).map((slot) => slot.address)
}

function readySlots(state: HaproxyState): Slot[] {
  return state.slots.filter((slot) => slot.isReady)
}

/** Follows one table after another, as the router does; a reload starts the desired state anew. */
function follow(
  state: HaproxyState | null,
  pools: Pool[],
  isBusy: (address: string) => boolean,
  onStep: (state: HaproxyState) => void = () => undefined,
): HaproxyState {
  const desired = assign(pools, state, isBusy, FIXED)
  if (state === null) return desired
  const plan = reconcile(state, desired)
  if (plan.kind === 'reload') return desired
  let now = state
  for (const change of plan.changes) {
    now = applied(now, change, isBusy)
    onStep(now)
  }
  return now
}

const APPS = ['shop', 'blog', 'wiki', 'mail']
const tables = fc.array(
  fc.uniqueArray(
    fc.record({
      app: fc.constantFrom(...APPS),
      from: fc.nat({ max: 6 }),
      count: fc.nat({ max: 5 }),
      weight: fc.integer({ min: 0, max: 3 }),
    }),
    { selector: (entry) => entry.app },
  ),
  { minLength: 1, maxLength: 6 },
)
const poolsOfEntries = (table: { app: string; from: number; count: number; weight: number }[]): Pool[] =>
  table.map(({ app, from, count, weight }) =>
    pool(
      app,
      Array.from({ length: count }, (_, index) => `10.0.${APPS.indexOf(app)}.${from + index}:8080`),
      weight,
    ),
  )

describe('reconcile: following one table after another', () => {
  it('ends with exactly the endpoints of the table ready, and then has nothing more to do', () => {
    fc.assert(
      fc.property(tables, (steps) => {
        let state: HaproxyState | null = null
        for (const step of steps) {
          const pools = poolsOfEntries(step)
          state = follow(state, pools, nobodyIsBusy)
          for (const one of pools) {
            expect(new Set(served(state, one.appName))).toEqual(new Set(one.endpoints.map((each) => each.address)))
          }
          expect(readySlots(state).length).toBe(pools.reduce((sum, one) => sum + one.endpoints.length, 0))
          expect(state.maps.routes.size).toBe(pools.length + FIXED.size)
          expect(reconcile(state, assign(pools, state, nobodyIsBusy, FIXED))).toEqual({ kind: 'changes', changes: [] })
        }
      }),
      { seed: 3, numRuns: 150 },
    )
  })

  it('at no moment does a host lead to an instance of another app', () => {
    fc.assert(
      fc.property(tables, (steps) => {
        let state: HaproxyState | null = null
        const owner = new Map<string, string>()
        for (const step of steps) {
          const pools = poolsOfEntries(step)
          for (const one of pools) for (const { address } of one.endpoints) owner.set(address, one.appName)
          state = follow(state, pools, nobodyIsBusy, (moment) => {
            for (const name of APPS) for (const address of served(moment, name)) expect(owner.get(address)).toBe(name)
          })
        }
      }),
      { seed: 6, numRuns: 150 },
    )
  })

  it('at no moment is an app that had instances and will have some without one', () => {
    fc.assert(
      fc.property(tables, (steps) => {
        let state: HaproxyState | null = null
        let before: Pool[] = []
        for (const step of steps) {
          const pools = poolsOfEntries(step)
          const lasting = pools
            .filter((one) => one.endpoints.length > 0)
            .map((one) => one.appName)
            .filter((name) => before.some((one) => one.appName === name && one.endpoints.length > 0))
          state = follow(state, pools, nobodyIsBusy, (moment) => {
            for (const name of lasting) expect(served(moment, name).length).toBeGreaterThan(0)
          })
          before = pools
        }
      }),
      { seed: 4, numRuns: 150 },
    )
  })

  it('never gives the slot of a busy instance to another, and adds slots by a reload when all are busy', () => {
    fc.assert(
      fc.property(tables, (steps) => {
        const everUsed = new Set<string>()
        const isBusy = (address: string): boolean => everUsed.has(address)
        let state: HaproxyState | null = null
        for (const step of steps) {
          const pools = poolsOfEntries(step)
          for (const one of pools) for (const { address } of one.endpoints) everUsed.delete(address)
          state = follow(state, pools, isBusy)
          for (const one of pools) {
            expect(new Set(served(state, one.appName))).toEqual(new Set(one.endpoints.map((each) => each.address)))
            for (const { address } of one.endpoints) everUsed.add(address)
          }
        }
      }),
      { seed: 5, numRuns: 150 },
    )
  })
})

describe('assign: backends and slots', () => {
  it('a first start has spare backends, so that the next app needs no reload', () => {
    const first = assign([], null, nobodyIsBusy, FIXED)
    const second = assign([pool('shop', ['10.0.0.2:8080'])], first, nobodyIsBusy, FIXED)
    expect(shapeOf(second.slots)).toBe(shapeOf(first.slots))
    expect(first.slots.length).toBe(64 * 8)
    expect(first.slots.every((slot) => slot.address === BLANK_ADDRESS && !slot.isReady)).toBe(true)
  })

  it('more apps than backends make more of them, in one step', () => {
    const first = assign([], null, nobodyIsBusy, FIXED)
    const many = Array.from({ length: 70 }, (_, index) => pool(`app-${index}`, [`10.0.1.${index}:8080`]))
    const grown = assign(many, first, nobodyIsBusy, FIXED)
    expect(reconcile(first, grown)).toEqual({ kind: 'reload' })
    expect(new Set(grown.slots.map((slot) => slot.backend)).size).toBe(192)
    expect(shapeOf(assign(many.slice(0, 3), grown, nobodyIsBusy, FIXED).slots)).toBe(shapeOf(grown.slots))
  })

  it('more instances than slots double the slots of that backend only', () => {
    const first = assign([pool('shop', ['10.0.0.2:8080'])], null, nobodyIsBusy, FIXED)
    const nine = Array.from({ length: 9 }, (_, index) => `10.0.0.${index + 2}:8080`)
    const grown = assign([pool('shop', nine)], first, nobodyIsBusy, FIXED)
    expect(grown.slots.filter((slot) => slot.backend === 'b00001').length).toBe(32)
    expect(grown.slots.filter((slot) => slot.backend === 'b00002').length).toBe(8)
  })

  it('an instance that comes back gets the slot that still holds its address', () => {
    const shop = pool('shop', ['10.0.0.2:8080', '10.0.0.3:8080'])
    const first = assign([shop], null, nobodyIsBusy, FIXED)
    const without = follow(first, [pool('shop', ['10.0.0.3:8080'])], () => true)
    const again = reconcile(
      without,
      assign([shop], without, () => true, FIXED),
    )
    expect(again).toEqual({
      kind: 'changes',
      changes: [{ kind: 'open', backend: 'b00001', slot: 's1', address: '10.0.0.2:8080', weight: 1, isMoved: false }],
    })
  })

  it('a destroyed app’s backend serves another app only when its last request is out', () => {
    const first = assign([pool('shop', ['10.0.0.2:8080'])], null, nobodyIsBusy, FIXED)
    const blog = pool('blog', ['10.0.0.9:8080'])
    const busy = follow(first, [blog], (address) => address === '10.0.0.2:8080')
    expect(busy.maps.routes.get('blog.localhost/')).toBe('b00002')
    const idle = follow(follow(first, [], nobodyIsBusy), [blog], nobodyIsBusy)
    expect(idle.maps.routes.get('blog.localhost/')).toBe('b00001')
  })

  it('an app whose instances are all gone keeps its backend, which says why', () => {
    const first = assign([pool('shop', ['10.0.0.2:8080'])], null, nobodyIsBusy, FIXED)
    const gone = assign([pool('shop', [])], first, nobodyIsBusy, FIXED)
    expect(gone.maps).toEqual({
      ...emptyMaps(),
      routes: new Map([...FIXED, ['shop.localhost/', 'b00001']]),
      names: new Map([['b00001', 'shop']]),
      idle: new Map([['b00001', 'crashed']]),
    })
  })
})
