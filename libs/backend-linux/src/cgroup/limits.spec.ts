import { mergeLimits, type Limits } from '@croft/garden-api'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NO_IO_CONTROL, type IoControl } from './io.js'
import { changeWrites, limitWrites, sharesToWeight, undoValue, type LimitWrite } from './limits.js'

const disk: IoControl = { device: '8:0', weightFile: null }
const lines = (writes: readonly LimitWrite[]): string[] =>
  writes.map((write) => `${write.group === 'main' ? 'main ' : ''}${write.file}=${write.value}`)
const text = (version: 1 | 2, limits: Limits | undefined, io = disk): string[] =>
  lines(limitWrites({ version, io }, limits))
const change = (version: 1 | 2, what: Limits, present: Limits = {}, io = disk): string[] => {
  const bytes = present.memory?.limitBytes || Infinity
  return lines(changeWrites({ version, io }, what, mergeLimits(present, what), bytes))
}

describe('limits', () => {
  it('write nothing when there are none, or all are 0', () => {
    const none = {
      memory: { limitBytes: 0 },
      cpu: { weight: 0, limitInShares: 0, quotaMillis: 0 },
      pids: { max: 0 },
      io: { weight: 0, readBytesPerSecond: 0 },
    }
    expect(text(1, undefined)).toEqual([])
    expect(text(2, none)).toEqual([])
  })
  it('hold memory with swap, so that swap is no way around it', () => {
    expect(text(1, { memory: { limitBytes: 1000 } })).toEqual([
      'memory.limit_in_bytes=1000',
      'memory.memsw.limit_in_bytes=1000',
    ])
    expect(text(2, { memory: { limitBytes: 1000 } })).toEqual(['memory.max=1000', 'memory.swap.max=0'])
  })
  it('prefer the weight to the shares', () => {
    expect(text(1, { cpu: { weight: 512, limitInShares: 100 } })).toEqual(['cpu.shares=512'])
    expect(text(1, { cpu: { weight: 0, limitInShares: 100 } })).toEqual(['cpu.shares=100'])
  })
  it('of the least weight make an idle group, which is anybody’s to interrupt', () => {
    for (const cpu of [{ weight: 2 }, { limitInShares: 1 }]) {
      expect(text(1, { cpu })).toEqual(['cpu.shares=2', 'cpu.idle=1'])
      expect(text(2, { cpu })).toEqual(['cpu.weight=1', 'cpu.idle=1'])
    }
  })
  it('turn millicores into a quota of a tenth of a second', () => {
    expect(text(1, { cpu: { quotaMillis: 1500 } })).toEqual(['cpu.cfs_period_us=100000', 'cpu.cfs_quota_us=150000'])
    expect(text(2, { cpu: { quotaMillis: 1 } })).toEqual(['cpu.max=1000 100000'])
  })
  it('throttle the disk the containers lie on, of version 1 in the group the processes are in', () => {
    const io = { readBytesPerSecond: 5, writeBytesPerSecond: 7 }
    expect(text(1, { io })).toEqual([
      'main blkio.throttle.read_bps_device=8:0 5',
      'main blkio.throttle.write_bps_device=8:0 7',
    ])
    expect(text(2, { io })).toEqual(['io.max=8:0 rbps=5 wbps=7'])
    expect(text(2, { io: { writeBytesPerSecond: 7 } })).toEqual(['io.max=8:0 wbps=7'])
    expect(text(2, { io }, NO_IO_CONTROL)).toEqual([])
  })
  it.each([
    [1, 'blkio.bfq.weight', 250, 'blkio.bfq.weight=250'],
    [1, 'blkio.bfq.weight', 9000, 'blkio.bfq.weight=1000'],
    [2, 'io.bfq.weight', 250, 'io.bfq.weight=default 250'],
    [2, 'io.weight', 250, 'io.weight=default 250'],
  ] as const)('version %i weighs in %s: %i', (version, weightFile, weight, line) => {
    expect(text(version, { io: { weight } }, { device: null, weightFile })).toEqual([line])
  })
  it.each([
    [2, 1],
    [1024, 40],
    [262_144, 10_000],
  ])('%i shares are weight %i', (shares, weight) => {
    expect(sharesToWeight(shares)).toBe(weight)
  })
})

describe('a change of limits', () => {
  it('writes what it names and nothing else', () => {
    expect(change(1, {})).toEqual([])
    expect(change(2, { pids: { max: 9 } }, { memory: { limitBytes: 5 } })).toEqual(['pids.max=9'])
    expect(change(1, { cpu: { quotaMillis: 1000 } }, { cpu: { weight: 7 } })).toEqual([
      'cpu.cfs_period_us=100000',
      'cpu.cfs_quota_us=100000',
    ])
  })
  it('raises memory with swap first and lowers it last, where the kernel wants it so', () => {
    const raised = ['memory.memsw.limit_in_bytes=9', 'memory.limit_in_bytes=9']
    const lowered = ['memory.limit_in_bytes=3', 'memory.memsw.limit_in_bytes=3']
    const shown = (all: string[]): string[] => [...all, ...all.map((line) => `main ${line}`)]
    expect(change(1, { memory: { limitBytes: 9 } }, { memory: { limitBytes: 5 } })).toEqual(shown(raised))
    expect(change(1, { memory: { limitBytes: 3 } }, { memory: { limitBytes: 5 } })).toEqual(shown(lowered))
    expect(change(1, { memory: { limitBytes: 3 } })).toEqual(shown(lowered))
  })
  it('lifts with 0', () => {
    const lift = { memory: { limitBytes: 0 }, pids: { max: 0 }, cpu: { weight: 0, quotaMillis: 0 } }
    const io = { readBytesPerSecond: 0 }
    expect(change(1, { ...lift, io }, { memory: { limitBytes: 5 } })).toEqual([
      'memory.memsw.limit_in_bytes=-1',
      'memory.limit_in_bytes=-1',
      'main memory.memsw.limit_in_bytes=-1',
      'main memory.limit_in_bytes=-1',
      'pids.max=max',
      'cpu.idle=0',
      'cpu.shares=1024',
      'cpu.cfs_period_us=100000',
      'cpu.cfs_quota_us=-1',
      'main blkio.throttle.read_bps_device=8:0 0',
    ])
    expect(change(2, { ...lift, io }, { memory: { limitBytes: 5 } })).toEqual([
      'memory.max=max',
      'memory.swap.max=max',
      'main memory.max=max',
      'main memory.swap.max=max',
      'pids.max=max',
      'cpu.idle=0',
      'cpu.weight=100',
      'cpu.max=max 100000',
      'io.max=8:0 rbps=max',
    ])
  })
  it('falls back to the shares when the weight is lifted', () => {
    expect(change(1, { cpu: { weight: 0 } }, { cpu: { weight: 9, limitInShares: 50 } })).toEqual([
      'cpu.idle=0',
      'cpu.shares=50',
    ])
  })
  it('makes a group idle, and no longer idle before it gets other shares, which the kernel refuses an idle one', () => {
    expect(change(1, { cpu: { weight: 2 } }, { cpu: { weight: 200 } })).toEqual([
      'cpu.idle=0',
      'cpu.shares=2',
      'cpu.idle=1',
    ])
    expect(change(2, { cpu: { weight: 200 } }, { cpu: { weight: 2 } })).toEqual(['cpu.idle=0', 'cpu.weight=9'])
  })
  it('of every limit from nothing writes what a new container with it gets', () => {
    const some = fc.record(
      {
        memory: fc.record({ limitBytes: fc.integer({ min: 1 }) }),
        pids: fc.record({ max: fc.integer({ min: 1 }) }),
        cpu: fc.record({ limitInShares: fc.integer({ min: 1 }), quotaMillis: fc.integer({ min: 1, max: 64_000 }) }),
        io: fc.record({ readBytesPerSecond: fc.integer({ min: 1 }) }),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(some, fc.constantFrom(1 as const, 2 as const), (limits, version) => {
        const live = change(version, limits).filter((line) => !/^main memory|^cpu.idle=0/.test(line))
        expect(live.toSorted()).toEqual(text(version, limits).toSorted())
      }),
    )
  })
})

describe('taking a change back', () => {
  const write = (file: string, value: string): LimitWrite => ({ controller: 'io', group: 'container', file, value })
  it.each([
    ['memory.limit_in_bytes', '5', '9223372036854771712\n', '9223372036854771712'],
    ['cpu.max', '5 100000', 'max 100000\n', 'max 100000'],
    ['io.weight', 'default 5', 'default 100\n8:0 50\n', 'default 100'],
    ['io.max', '8:0 rbps=5', '', '8:0 rbps=max wbps=max'],
    [
      'io.max',
      '8:0 rbps=5',
      '7:0 rbps=1 wbps=max\n8:0 rbps=9 wbps=max riops=max wiops=max\n',
      '8:0 rbps=9 wbps=max riops=max wiops=max',
    ],
    ['blkio.throttle.read_bps_device', '8:0 5', '', '8:0 0'],
    ['blkio.throttle.read_bps_device', '8:0 5', '8:0 77\n', '8:0 77'],
  ])('%s=%s after %j writes %j', (file, value, before, undo) => {
    expect(undoValue(write(file, value), before)).toBe(undo)
  })
})
