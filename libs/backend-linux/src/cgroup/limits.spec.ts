import { describe, expect, it } from 'vitest'
import { limitWrites, sharesToWeight } from './limits.js'

const text = (version: 1 | 2, limits: Parameters<typeof limitWrites>[1]): string[] =>
  limitWrites(version, limits).map((write) => `${write.controller}/${write.file}=${write.value}`)

describe('limits', () => {
  it('write nothing when there are none, or all are 0', () => {
    expect(text(1, undefined)).toEqual([])
    expect(
      text(2, { memory: { limitBytes: 0 }, cpu: { weight: 0, limitInShares: 0, quotaMillis: 0 }, pids: { max: 0 } }),
    ).toEqual([])
  })
  it('hold memory with swap, so that swap is no way around it', () => {
    expect(text(1, { memory: { limitBytes: 1000 } })).toEqual([
      'memory/memory.limit_in_bytes=1000',
      'memory/memory.memsw.limit_in_bytes=1000',
    ])
    expect(text(2, { memory: { limitBytes: 1000 } })).toEqual(['memory/memory.max=1000', 'memory/memory.swap.max=0'])
  })
  it('prefer the weight to the shares', () => {
    expect(text(1, { cpu: { weight: 512, limitInShares: 100 } })).toEqual(['cpu/cpu.shares=512'])
    expect(text(1, { cpu: { weight: 0, limitInShares: 100 } })).toEqual(['cpu/cpu.shares=100'])
  })
  it('turn millicores into a quota of a tenth of a second', () => {
    expect(text(1, { cpu: { quotaMillis: 1500 } })).toEqual([
      'cpu/cpu.cfs_period_us=100000',
      'cpu/cpu.cfs_quota_us=150000',
    ])
    expect(text(2, { cpu: { quotaMillis: 1 } })).toEqual(['cpu/cpu.max=1000 100000'])
  })
  it.each([
    [2, 1],
    [1024, 40],
    [262_144, 10_000],
  ])('%i shares are weight %i', (shares, weight) => {
    expect(sharesToWeight(shares)).toBe(weight)
  })
})
