import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decideRestart, NO_CRASHES, type CrashHistory } from './restart-policy.js'

/** The delays of a loop that crashes at once, each time after its delay has passed; without jitter. */
function delaysOf(count: number, readyForMs = 0): number[] {
  let history: CrashHistory = NO_CRASHES
  let atMs = 1_000_000
  return Array.from({ length: count }, () => {
    const decision = decideRestart(history, { atMs, readyForMs }, 0.5)
    history = decision.history
    atMs += decision.delayMs
    return decision.delayMs
  })
}

describe('restart policy', () => {
  it('restarts three times at once, then after 2 s doubling to 60 s', () => {
    expect(delaysOf(10)).toEqual([0, 0, 0, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  })
  it('waits up to five minutes once it has been looping for an hour', () => {
    expect(delaysOf(80).at(-1)).toBe(300_000)
  })
  it('starts over after five healthy minutes', () => {
    const loop: CrashHistory = { inARow: 9, firstAtMs: 0 }
    expect(decideRestart(loop, { atMs: 10_000_000, readyForMs: 5 * 60_000 }, 0.5)).toEqual({
      history: { inARow: 1, firstAtMs: 10_000_000 },
      delayMs: 0,
    })
  })
  it('never gives up and never waits longer than five minutes and a fifth', () => {
    fc.assert(
      fc.property(
        fc.nat(100_000),
        fc.nat(10 ** 9),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (inARow, atMs, random) => {
          const { delayMs } = decideRestart({ inARow, firstAtMs: 0 }, { atMs, readyForMs: 0 }, random)
          expect(delayMs).toBeGreaterThanOrEqual(0)
          expect(delayMs).toBeLessThanOrEqual(360_000)
        },
      ),
    )
  })
})
