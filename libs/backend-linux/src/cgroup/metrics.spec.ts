import { describe, expect, it } from 'vitest'
import { cpuV1, cpuV2, keyedNumbers, limitOf, memoryV1, memoryV2, pidsOf, unreclaimableBytes } from './metrics.js'

describe('metrics of version 1', () => {
  const stat = 'cache 10\nrss 20\ntotal_cache 100\ntotal_rss 200\ntotal_swap 5\ntotal_inactive_file 30\nswap 5\n'
  it('count towards the limit what cannot be dropped at once', () => {
    const memory = memoryV1({ stat, limit: '4096\n' })
    expect([memory.usageTowardLimitBytes, memory.limitBytes]).toEqual([275, 4096])
  })
  it("have the other version's names too", () => {
    const { stat: all } = memoryV1({ stat, limit: '9223372036854771712\n' })
    expect(all).toMatchObject({ rss: 20, total_rss: 200, anon: 200, file: 100, swapcached: 0, inactive_file: 30 })
  })
  it('are never below 0, and no limit is none', () => {
    const memory = memoryV1({ stat: 'total_inactive_file 9\n', limit: '9223372036854771712\n' })
    expect([memory.usageTowardLimitBytes, memory.limitBytes]).toEqual([0, null])
  })
  it('take times as they are', () => {
    expect(cpuV1({ usage: '9\n', user: '6\n', system: '3\n' })).toEqual({
      usageNs: 9,
      userNs: 6,
      systemNs: 3,
    })
  })
})

describe('metrics of version 2', () => {
  const stat = 'anon 200\nfile 100\nswapcached 5\ninactive_file 30\nfile_mapped 7\npgfault 3\n'
  it('count towards the limit what cannot be dropped at once', () => {
    const memory = memoryV2({ stat, limit: 'max\n', swap: '' })
    expect([memory.usageTowardLimitBytes, memory.limitBytes]).toEqual([275, null])
  })
  it("have the other version's names too", () => {
    expect(memoryV2({ stat, limit: '4096\n', swap: '11\n' }).stat).toMatchObject({
      total_rss: 200,
      rss: 200,
      total_cache: 100,
      cache: 100,
      mapped_file: 7,
      total_inactive_file: 30,
      total_pgfault: 3,
      swap: 11,
      total_swap: 11,
      hierarchical_memory_limit: 4096,
    })
  })
  it('turn microseconds into nanoseconds', () => {
    expect(cpuV2('usage_usec 9\nuser_usec 6\nsystem_usec 3\n')).toEqual({
      usageNs: 9000,
      userNs: 6000,
      systemNs: 3000,
    })
  })
  it('know what stays when caches are dropped', () => {
    expect(unreclaimableBytes('1000\n', 'active_file 100\ninactive_file 200\nslab_reclaimable 50\nanon 650\n')).toBe(
      650,
    )
  })
})

it('lines of keys and numbers make a record, a broken end included', () => {
  expect(keyedNumbers('a 1\nbc 23\n\nodd\nd 4')).toEqual({ a: 1, bc: 23, d: 4 })
  expect(pidsOf('3\n', 'max\n')).toEqual({ current: 3, max: null })
  expect(limitOf('7\n')).toBe(7)
})
