import fc from 'fast-check'
import { parseDigest, type Digest } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { manifestsToKeep, type RepositoryState } from './collect.js'

const id = (number: number): Digest => parseDigest(`sha256:${number.toString(16).padStart(64, '0')}`)
const old = (
  number: number,
  more: { manifests?: Digest[]; subject?: Digest } = {},
): RepositoryState['manifests'][number] => ({
  digest: id(number),
  ageMs: 10_000,
  manifests: more.manifests ?? [],
  subject: more.subject ?? null,
})
const keep = (manifests: RepositoryState['manifests'], ...roots: number[]): Digest[] =>
  [...manifestsToKeep({ manifests, roots: new Set(roots.map(id)), graceMs: 5_000 })].toSorted()

describe('images that stay', () => {
  it('are the roots, and nothing else that is old', () => {
    expect(keep([old(1), old(2), old(3)], 2)).toEqual([id(2)])
  })
  it('are the young ones too: somebody may be about to refer to them', () => {
    expect(
      keep([
        { ...old(1), ageMs: 4_999 },
        { ...old(2), ageMs: 5_000 },
      ]),
    ).toEqual([id(1)])
  })
  it('are what an index of them lists, at any depth, and what is about them', () => {
    const manifests = [
      old(1, { manifests: [id(2)] }),
      old(2, { manifests: [id(3)] }),
      old(3),
      old(4, { subject: id(3) }),
      old(5, { subject: id(6) }),
    ]
    expect(keep(manifests, 1)).toEqual([id(1), id(2), id(3), id(4)])
  })
  it('end where indexes name each other', () => {
    expect(keep([old(1, { manifests: [id(2)] }), old(2, { manifests: [id(1)] })], 1)).toEqual([id(1), id(2)])
  })
  it('always include every root that is there, and what it lists', () => {
    const number = fc.integer({ min: 0, max: 9 })
    const manifest = fc.record({
      age: fc.nat(10_000),
      lists: fc.array(number, { maxLength: 3 }),
      about: fc.option(number),
    })
    fc.assert(
      fc.property(fc.array(manifest, { maxLength: 10 }), fc.uniqueArray(number), (drawn, roots) => {
        const manifests = drawn.map(({ age, lists, about }, at) => ({
          digest: id(at),
          ageMs: age,
          manifests: lists.map(id),
          subject: about === null ? null : id(about),
        }))
        const kept = manifestsToKeep({ manifests, roots: new Set(roots.map(id)), graceMs: 5_000 })
        for (const one of manifests) {
          if (roots.includes(manifests.indexOf(one)) || one.ageMs < 5_000) expect(kept.has(one.digest)).toBe(true)
          if (!kept.has(one.digest)) continue
          for (const listed of one.manifests)
            if (manifests.some(({ digest }) => digest === listed)) expect(kept.has(listed)).toBe(true)
        }
      }),
    )
  })
})
