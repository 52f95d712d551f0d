import { describe, expect, it } from 'vitest'
import { rollbackFormation } from './rollback-formation.js'

describe('the formation after a rollback', () => {
  const present = { web: 3, worker: 2 }
  it('keeps quantities of types that both releases have', () => {
    expect(rollbackFormation({ present, types: ['web', 'worker'], former: null })).toEqual({})
  })
  it('sets types that no longer exist to 0', () => {
    expect(rollbackFormation({ present, types: ['web', 'clock'], former: null })).toEqual({ worker: 0 })
  })
  it('takes the former quantities when they are asked for, and only of types the release has', () => {
    const former = { web: 1, clock: 1, gone: 5 }
    expect(rollbackFormation({ present, types: ['web', 'clock'], former })).toEqual({ worker: 0, web: 1, clock: 1 })
  })
  it('takes no names from the prototype', () => {
    expect(rollbackFormation({ present: {}, types: ['constructor'], former: {} })).toEqual({})
  })
})
