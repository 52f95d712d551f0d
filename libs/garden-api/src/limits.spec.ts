import { expect, it } from 'vitest'
import { mergeLimits } from './limits.js'

it('merges a change of limits: what it names replaces, the rest stays', () => {
  const present = {
    memory: { limitBytes: 100 },
    cpu: { weight: 5, quotaMillis: 500 },
    disk: { byteHard: 7 },
    io: { readBytesPerSecond: 1 },
  }
  const change = { memory: { limitBytes: 0 }, cpu: { quotaMillis: 700 }, io: { writeBytesPerSecond: 2 } }
  expect(mergeLimits(present, change)).toEqual({
    memory: { limitBytes: 0 },
    cpu: { weight: 5, quotaMillis: 700 },
    disk: { byteHard: 7 },
    io: { readBytesPerSecond: 1, writeBytesPerSecond: 2 },
  })
  expect(present.cpu).toEqual({ weight: 5, quotaMillis: 500 })
})
