import { describe, expect, it } from 'vitest'
import { bandwidthProblem, shaperArgs } from './shaper.js'

describe('a bandwidth', () => {
  it.each([
    [1_000_000, 50_000, ['1000000bps', '50000', '250000']],
    [1_000, 0, ['1000bps', '1600', '34368']],
    [100_000_000, 200_000, ['100000000bps', '200000', '20200000']],
  ])('of %d bytes a second with a burst of %d is a bucket that lets whole frames through', (rate, burst, numbers) => {
    const [kind, , ...rest] = shaperArgs({ rateBytesPerSecond: rate, burstBytes: burst })
    expect([kind, rest[0], rest[2], rest[4]]).toEqual(['tbf', ...numbers])
  })

  it.each([
    [0, 0, null],
    [0, 5, null],
    [1_000_000, 0, null],
    [-1, 0, 'a bandwidth is not a whole number of at least 0'],
    [1_000, 0.5, 'a bandwidth is not a whole number of at least 0'],
    [10, 0, 'a bandwidth of less than 100 bytes a second'],
    [1_000, 250_000, 'a burst of more than 240 seconds of its bandwidth, or of more than 2 GiB'],
  ])('of %d with a burst of %d: %s', (rateBytesPerSecond, burstBytes, problem) => {
    expect(bandwidthProblem({ rateBytesPerSecond, burstBytes })).toBe(problem)
  })
})
