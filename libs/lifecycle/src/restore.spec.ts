import { describe, expect, it } from 'vitest'
import { parseDigest } from '@croft/kit'
import { parseLifecycleLabel } from './formats/lifecycle-label.js'
import { planRestore, type BuildCache, type CachedLayer } from './restore.js'

type Types = Partial<Record<'build' | 'cache' | 'launch', boolean>>
const sha = parseDigest(`sha256:${'a'.repeat(64)}`)
const label = (types: Types, more: Record<string, unknown> = {}) =>
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
      ...more,
    }),
  )
const cachedLayer = (types: Types, more: Partial<CachedLayer> = {}): CachedLayer => ({
  types: { build: false, cache: false, launch: false, ...types },
  metadata: { k: 2 },
  tree: 't',
  ...more,
})
/** What comes back of layer `x`: of which types it was in the image and in the cache. */
const restored = (image: Types | null, cache: Types | null): string => {
  const kept: BuildCache = cache === null ? {} : { 'a/b': { x: cachedLayer(cache) } }
  const [layer] = planRestore([{ id: 'a/b' }], image === null ? null : label(image), kept)[0]?.layers ?? []
  return layer === undefined ? 'nothing' : (layer.content?.kind ?? 'file only')
}

describe('what a buildpack gets back of a layer', () => {
  it.each<[string, Types | null, Types | null, string]>([
    ['launch: its file, to be taken over by digest', { launch: true }, null, 'file only'],
    ['launch and cache: its content, which the image holds', { launch: true, cache: true }, null, 'image'],
    ['launch and build: nothing', { launch: true, build: true }, null, 'nothing'],
    ['launch, build and cache: its content', { launch: true, build: true, cache: true }, null, 'image'],
    ['cache: its content, which only the cache holds', null, { cache: true }, 'cache'],
    ['build and cache: its content too', null, { build: true, cache: true }, 'cache'],
    ['build: nothing', null, { build: true }, 'nothing'],
    ['of no type: nothing', null, {}, 'nothing'],
    ['cache without a cache: nothing', { cache: true }, null, 'nothing'],
    ['that is in both, the image’s', { launch: true, cache: true }, { cache: true }, 'image'],
    ['that the cache says is in the image, which it is not: nothing', null, { launch: true, cache: true }, 'nothing'],
    ['of an app that was never built: nothing', null, null, 'nothing'],
  ])('%s', (_what, image, cache, expected) => {
    expect(restored(image, cache)).toBe(expected)
  })
})

describe('restoring', () => {
  const cached: BuildCache = { 'a/b': { kept: cachedLayer({ build: true, cache: true }) } }

  it('gives metadata, the digest in the former image and the store, to each buildpack its own', () => {
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

  it('leaves out what a buildpack that takes no part kept', () => {
    expect(planRestore([{ id: 'c' }], label({ launch: true }), cached)).toEqual([
      { id: 'c', layers: [], store: undefined },
    ])
  })

  it('gives a layer’s bills of materials back: from the image for launch layers, from the cache for others', () => {
    const sboms = { 'sbom.cdx.json': '{}' }
    const kept = { 'a/b': { kept: cachedLayer({ cache: true }, { sboms }) } }
    const [one] = planRestore([{ id: 'a/b' }], label({ launch: true }, { sbom: { sha } }), kept)
    expect(one?.layers.map(({ name, sboms }) => [name, sboms])).toEqual([
      ['x', { kind: 'image', diffId: sha }],
      ['kept', { kind: 'cache', files: sboms }],
    ])
  })

  it('is nothing when the label of the former image cannot be read', () => {
    expect(parseLifecycleLabel('{"buildpacks":[{"key":1}]}')).toBeNull()
    expect(parseLifecycleLabel('not json')).toBeNull()
    expect(planRestore([{ id: 'a/b' }], null, {})).toEqual([{ id: 'a/b', layers: [], store: undefined }])
  })
})
