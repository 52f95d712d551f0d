import type { Buildpack, PlanEntry } from '@croft/lifecycle'
import { describe, expect, it } from 'vitest'
import { needsOf } from './build-needs.js'

const buildpack = (needs?: ('debs' | 'compilers')[]): Buildpack => ({
  id: 'x/y',
  version: '1',
  api: '0.12',
  name: 'x',
  directory: '/x',
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
  ] as const)('is what its buildpacks always need, and what their detection asked for', (group, entries, needs) => {
    expect([...needsOf(group, entries)]).toEqual(needs)
  })
})
