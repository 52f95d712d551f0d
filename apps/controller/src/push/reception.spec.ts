import { describe, expect, it } from 'vitest'
import { admitReception, promisedBytes, type Reception } from './reception.js'

const MIB = 1024 ** 2
const of = (team: string, count: number, bytes = MIB): Reception[] =>
  Array.from({ length: count }, () => ({ team, bytes }))
const wanted = { team: 'mine', bytes: 500 * MIB }

describe('what may be received at once', () => {
  it.each<[what: string, underWay: Reception[], freeMib: number, admission: object]>([
    ['the first goes', [], 1_012, { kind: 'goes' }],
    ['nothing goes that may fill the disk', [], 1_011, { kind: 'full', neededBytes: 1_012 * MIB }],
    ['the fourth of a team goes', of('mine', 3), 9_999, { kind: 'goes' }],
    [
      'the fifth of a team waits',
      of('mine', 4),
      9_999,
      { kind: 'waits', of: 'team', why: '4 other pushes of the team are being received' },
    ],
    ['that of another team goes', of('other', 4), 9_999, { kind: 'goes' }],
    [
      'the ninth in all waits',
      [...of('other', 4), ...of('third', 3), ...of('mine', 1)],
      9_999,
      { kind: 'waits', of: 'all', why: '8 other pushes are being received' },
    ],
    [
      'what has room alone waits for the one that may need it',
      of('other', 1, 500 * MIB),
      1_511,
      { kind: 'waits', of: 'disk', why: 'another push is being received, and only 1511 MiB of the disk are free' },
    ],
  ])('%s', (_what, underWay, freeMib, admission) => {
    expect(admitReception(wanted, underWay, freeMib * MIB)).toEqual(admission)
  })
})

describe('what a request may bring', () => {
  it.each([
    ['what it says', { 'content-length': '70' }, 70],
    ['the most, when it says more', { 'content-length': '2000' }, 1_000],
    ['the most, when it does not say', {}, 1_000],
    ['the most, when it is compressed', { 'content-length': '70', 'content-encoding': 'gzip' }, 1_000],
    ['the most, when that is no number', { 'content-length': '-1' }, 1_000],
  ])('is %s', (_what, headers, bytes) => {
    expect(promisedBytes(headers, 1_000)).toBe(bytes)
  })
})
