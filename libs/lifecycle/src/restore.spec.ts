import { describe, expect, it } from 'vitest'
import { parseDigest } from '@croft/kit'
import { parseLifecycleLabel } from './formats/lifecycle-label.js'
import { planRestore, type BuildCache } from './restore.js'

const sha = parseDigest(`sha256:${'a'.repeat(64)}`)
const label = (types: Record<string, boolean>): ReturnType<typeof parseLifecycleLabel> =>
  parseLifecycleLabel(
    JSON.stringify({
      buildpacks: [
        {
          key: 'a/b',
          version: '1',
          layers: { x: { sha, data: { key: '1' }, ...types } },
          store: { metadata: { s: 1 } },
        },
      ],
    }),
  )
const cached: BuildCache = {
  'a/b': { kept: { types: { build: true, cache: true, launch: false }, metadata: { k: 2 }, tree: 't' } },
}
const restored = (types: Record<string, boolean>): string[] =>
  planRestore([{ id: 'a/b' }], label(types), {})[0]?.layers.map(
    ({ name, content }) => `${name}:${content?.kind ?? 'file only'}`,
  ) ?? []

describe('what a buildpack gets back', () => {
  it.each<[string, Record<string, boolean>, string[]]>([
    ['a launch layer: its file, to be taken over by digest', { launch: true }, ['x:file only']],
    ['a cached launch layer: its content too', { launch: true, cache: true }, ['x:image']],
    ['a build layer that was not cached: nothing', { launch: true, build: true }, []],
    ['a build layer that was cached: its content', { launch: true, build: true, cache: true }, ['x:image']],
    ['a layer that is not in the image: nothing', { cache: true }, []],
  ])('%s', (_what, types, expected) => {
    expect(restored(types)).toEqual(expected)
  })

  it('is what the cache keeps, and the store, besides; and nothing of other buildpacks', () => {
    const [one, other] = planRestore([{ id: 'a/b' }, { id: 'c' }], label({ launch: true }), cached)
    expect(one).toMatchObject({
      layers: [
        { name: 'x', metadata: { key: '1' }, diffId: sha },
        { name: 'kept', metadata: { k: 2 }, content: { kind: 'cache', tree: 't' }, diffId: null },
      ],
      store: { s: 1 },
    })
    expect(other).toEqual({ id: 'c', layers: [], store: undefined })
  })

  it('is nothing when the label of the former image cannot be read', () => {
    expect(parseLifecycleLabel('{"buildpacks":[{"key":1}]}')).toBeNull()
    expect(parseLifecycleLabel('not json')).toBeNull()
    expect(planRestore([{ id: 'a/b' }], null, {})).toEqual([{ id: 'a/b', layers: [], store: undefined }])
  })
})
