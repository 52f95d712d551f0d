import { expect, it } from 'vitest'
import { isStarved } from './starvation.js'

const before = { atMs: 1_000, usedMs: 50, idleMs: 7_000 }

it.each([
  ['a busy machine gives it a hundredth of a processor', 100, 0, true],
  ['a busy machine gives it half a processor', 5_000, 0, false],
  ['it does little and the machine has a processor left', 100, 10_000, false],
  ['the machine has a fiftieth of a processor left', 100, 200, true],
  ['the machine has a fifth of a processor left', 100, 2_000, false],
])('of a build within ten seconds: %s', (_what, usedMs, idleMs, expected) => {
  const now = { atMs: 11_000, usedMs: before.usedMs + usedMs, idleMs: before.idleMs + idleMs }
  expect(isStarved(before, now, 2)).toBe(expected)
})

it('a build never starves between one look and the same again', () => {
  expect(isStarved(before, before, 2)).toBe(false)
})
