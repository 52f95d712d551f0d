import { describe, expect, it } from 'vitest'
import { FakeBackend } from '../fake/index.js'
import { missingOf, type Need } from './needs.js'

const base = await new FakeBackend().capabilities()

describe('what a spec needs and a backend lacks', () => {
  it.each<[string, Parameters<typeof missingOf>[0], Need[], Need[]]>([
    ['a claim that is false', { ...base, hasTty: false }, ['hasTty', 'hasIdmap'], ['hasTty']],
    ['a claim that is true', { ...base, hasTty: true }, ['hasTty'], []],
    ['a way there is none of', { ...base, io: 'none', diskQuota: 'none' }, ['io', 'diskQuota'], ['io', 'diskQuota']],
    ['a way there is', { ...base, io: 'throttle', diskQuota: 'loop' }, ['io', 'diskQuota'], []],
    [
      'the other version of cgroups',
      { ...base, cgroupVersion: 1 },
      ['cgroupVersion 2', 'cgroupVersion 1'],
      ['cgroupVersion 2'],
    ],
    ['nothing', base, [], []],
  ])('is told for %s', (_what, capabilities, needs, missing) => {
    expect(missingOf(capabilities, needs)).toEqual(missing)
  })
})
