import type { Buildpack, PlanEntry } from '@croft/lifecycle'
import { describe, expect, it } from 'vitest'
import { needsOf } from './build-needs.js'

const buildpack = (needs?: ('debs' | 'compilers')[], origin?: string): Buildpack => ({
  id: 'x/y',
  version: '1',
  api: '0.12',
  name: 'x',
  directory: '/x',
  ...(origin !== undefined && { origin }),
  toml: {
    api: '0.12',
    buildpack: { id: 'x/y', version: '1' },
    ...(needs !== undefined && { metadata: { croft: { needs } } }),
  } as Buildpack['toml'],
})
const entry = (needs: unknown): PlanEntry => ({
  name: 'ruby',
  providers: [],
  requires: [{ name: 'ruby', metadata: { needs } }],
})

describe('what a build needs besides the run image', () => {
  it.each([
    [[buildpack()], [], []],
    [[buildpack(['debs']), buildpack(), buildpack(['debs', 'compilers'])], [], ['debs', 'compilers']],
    [[buildpack(['debs'])], [entry(['compilers'])], ['debs', 'compilers']],
    [[buildpack()], [entry('compilers'), entry(['root']), entry(3)], ['compilers']],
    [[buildpack(undefined, 'https://example.org/x#abc')], [], ['compilers']],
    [[buildpack([], 'https://example.org/x#abc')], [], []],
  ] as const)(
    'is what its buildpacks always need, what their detection asked for, and compilers for those from elsewhere',
    (group, entries, needs) => {
      expect([...needsOf(group, entries)]).toEqual(needs)
    },
  )
})
