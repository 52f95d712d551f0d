import { describe, expect, it } from 'vitest'
import { wantedSlots, type Demand } from './desired.js'

const demand: Demand = {
  isDestroyed: false,
  isStopped: false,
  formation: [
    { type: 'worker', quantity: 1 },
    { type: 'web', quantity: 2 },
    { type: 'release', quantity: 1 },
    { type: 'gone', quantity: 3 },
  ],
  processTypes: ['web', 'worker', 'release', 'clock'],
}

describe('the wanted slots', () => {
  it('are numbered from 1 for each process type the release and the formation have', () => {
    expect(wantedSlots(demand)).toEqual([
      { type: 'web', slot: 1 },
      { type: 'web', slot: 2 },
      { type: 'worker', slot: 1 },
    ])
  })

  it.each([
    ['a destroyed app', { isDestroyed: true }],
    ['a stopped app', { isStopped: true }],
    ['an app without a release', { processTypes: null }],
  ])('of %s are none', (_what, change) => {
    expect(wantedSlots({ ...demand, ...change })).toEqual([])
  })
})
