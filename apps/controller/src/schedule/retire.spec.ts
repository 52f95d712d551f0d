import type { InstanceId } from '@croft/kit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { retire, type RetiringInstance, type RouterAck } from './retire.js'

const instance = (changes: Partial<RetiringInstance> = {}): RetiringInstance => ({
  id: 'i1' as InstanceId,
  intent: 'drain',
  hasTraffic: true,
  drainRevision: 7,
  drainingForMs: 100,
  drainMs: 30_000,
  isEnded: false,
  isPlaced: true,
  ...changes,
})
const router = (changes: Partial<RouterAck> = {}): RouterAck => ({
  id: 'r1',
  appliedRevision: 7,
  busyInstances: new Set(),
  silentMs: 0,
  ...changes,
})

describe('a drained instance is stopped', () => {
  it('once every router serves a table without it and carries nothing for it', () => {
    expect(retire([instance()], [router(), router({ id: 'r2', appliedRevision: 9 })]).stop).toEqual(['i1'])
  })

  it('not while a router has not acknowledged, however long that takes, and that router is named', () => {
    const late = router({ id: 'r2', appliedRevision: 6, silentMs: 31_000 })
    const result = retire([instance({ drainingForMs: 3_600_000 })], [router(), late])
    expect(result).toMatchObject({ stop: [], silentRouters: ['r2'] })
  })

  it('not while requests to it are in flight, but after the drain time', () => {
    const busy = router({ busyInstances: new Set(['i1']) })
    expect(retire([instance()], [busy]).stop).toEqual([])
    expect(retire([instance({ drainingForMs: 30_000 })], [busy]).stop).toEqual(['i1'])
  })

  it('at once when no traffic ever came to it', () => {
    expect(retire([instance({ hasTraffic: false })], [router({ appliedRevision: 0 })]).stop).toEqual(['i1'])
    expect(retire([instance({ isPlaced: false })], [router({ appliedRevision: 0 })]).stop).toEqual(['i1'])
    expect(retire([instance()], []).stop).toEqual(['i1'])
  })
})

describe('a stopped instance', () => {
  it('is gone when its node says nothing of it any more', () => {
    expect(retire([instance({ intent: 'stop' })], []).gone).toEqual([])
    expect(retire([instance({ intent: 'stop', isEnded: true })], []).gone).toEqual(['i1'])
  })
})

describe('retiring', () => {
  it('never stops what a router may still route to', () => {
    fc.assert(
      fc.property(
        fc.nat(20),
        fc.array(fc.record({ appliedRevision: fc.nat(20), isBusy: fc.boolean(), silentMs: fc.nat(60_000) }), {
          maxLength: 4,
        }),
        fc.nat(60_000),
        (drainRevision, acks, drainingForMs) => {
          const routers = acks.map((ack, index) =>
            router({ ...ack, id: `r${index}`, busyInstances: new Set(ack.isBusy ? ['i1'] : []) }),
          )
          const { stop } = retire([instance({ drainRevision, drainingForMs })], routers)
          if (stop.length > 0) expect(routers.every((one) => one.appliedRevision >= drainRevision)).toBe(true)
        },
      ),
      { seed: 1 },
    )
  })
})
