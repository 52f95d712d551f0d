import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs } from './backoff.js'

describe('backoff', () => {
  it('doubles from the base to the cap when nothing is random', () => {
    const options = { baseMs: 2_000, maxMs: 60_000, jitter: 0 }
    expect([0, 1, 2, 3, 4, 5, 50].map((attempt) => backoffMs(attempt, options, 0.5))).toEqual([
      2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
    ])
  })
  it('stays within the jitter around the delay, whatever the attempt', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
        const delay = backoffMs(attempt, { baseMs: 100, maxMs: 5_000, jitter: 0.2 }, random)
        const middle = Math.min(5_000, 100 * 2 ** Math.min(attempt, 30))
        expect(delay).toBeGreaterThanOrEqual(Math.floor(middle * 0.8))
        expect(delay).toBeLessThanOrEqual(Math.ceil(middle * 1.2))
      }),
    )
  })
})
