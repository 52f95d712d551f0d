import { describe, expect, it } from 'vitest'
import type { PlanSections } from './formats/build-plan-toml.js'
import { requiresFor, resolvePlan, type PlanElement } from './resolve-plan.js'

/** `+a` provides a, `-a` requires a; alternatives are separated by `|`. */
function sections(text: string): PlanSections[] {
  return text.split('|').map((option) => {
    const words = option.trim().split(/\s+/).filter(Boolean)
    const names = (sign: string): { name: string }[] =>
      words.filter((word) => word.startsWith(sign)).map((word) => ({ name: word.slice(1) }))
    return { provides: names('+'), requires: names('-') }
  })
}
const element = (id: string, text: string): PlanElement => ({
  id: id.replace('?', ''),
  version: '1',
  isOptional: id.endsWith('?'),
  options: sections(text),
})
const groupOf = (list: Record<string, string>): string | null =>
  resolvePlan(Object.entries(list).map(([id, text]) => element(id, text)))
    ?.group.map(({ id }) => id)
    .join(' ') ?? null

describe('the build plan', () => {
  it.each<[string, Record<string, string>, string | null]>([
    ['a buildpack without a plan always fits', { a: '', b: '' }, 'a b'],
    ['what one provides another may require', { a: '+x', b: '-x' }, 'a b'],
    ['a buildpack may require what it provides itself', { a: '+x -x' }, 'a'],
    ['nothing may be required before it is provided', { a: '-x', b: '+x' }, null],
    ['nothing may be provided that nobody requires', { a: '+x' }, null],
    ['an optional one that requires too early is left out', { 'a?': '-x', b: '' }, 'b'],
    ['an optional one that provides for nobody is left out', { 'a?': '+x', b: '' }, 'b'],
    ['leaving one out may make another one useless too', { 'a?': '+x', 'b?': '-x +y', c: '' }, 'c'],
    ['a required one that loses its provider fails the group', { 'a?': '+x +z', b: '-x' }, null],
    ['the first alternative that fits wins', { a: '+x | +y', b: '-y' }, 'a b'],
    ['the first buildpack varies slowest', { a: '+x | +y', b: '-x | -y' }, 'a b'],
    ['optional counts only for the last alternative', { 'a?': '+x | +y', b: '' }, 'b'],
    ['several may provide the same thing', { a: '+x', b: '+x', c: '-x' }, 'a b c'],
    ['a later provider needs a require of its own', { a: '+x', b: '-x', c: '+x' }, null],
    ['an optional later provider is left out', { a: '+x', b: '-x', 'c?': '+x' }, 'a b'],
    ['a group of which nothing is left fails', { 'a?': '+x' }, null],
    [
      'the last alternatives of all are tried last, and an optional one without any that fits is left out',
      { 'a?': '+2 | +1', 'b?': '-3 | -1', c: '+5 -4 | +6 -6', 'd?': '+8 -7 | +10 -9' },
      'a b c',
    ],
    ['leaving out both sides of what nobody else wants', { 'a?': '-m', b: '+p -p', 'c?': '+m' }, 'b'],
    ['what is required again later is provided by the ones before', { a: '+x', b: '-x', c: '-x' }, 'a b c'],
  ])('%s', (_rule, list, expected) => {
    expect(groupOf(list)).toBe(expected)
  })

  it('names for every entry its providers and what all asked of it', () => {
    const plan = resolvePlan([
      { ...element('a', '+node'), options: [{ provides: [{ name: 'node' }], requires: [] }] },
      {
        ...element('b', ''),
        options: [{ provides: [], requires: [{ name: 'node', metadata: { version: '24' } }] }],
      },
      { ...element('c', ''), options: [{ provides: [], requires: [{ name: 'node', metadata: { build: true } }] }] },
    ])
    expect(plan?.entries).toEqual([
      {
        name: 'node',
        providers: [{ id: 'a', version: '1' }],
        requires: [
          { name: 'node', metadata: { version: '24' } },
          { name: 'node', metadata: { build: true } },
        ],
      },
    ])
  })

  it('lists every provider before a require, and each require once', () => {
    const plan = resolvePlan([
      element('a', '+1 +2 -2'),
      element('c', '+1 +2'),
      element('d', '+2 -1 -2'),
      element('b', '-1 -2'),
    ])
    const said = plan?.entries.map(
      ({ name, providers, requires }) => `${name}: ${providers.map(({ id }) => id).join('')} x${requires.length}`,
    )
    expect(said?.toSorted()).toEqual(['1: ac x2', '2: acd x3'])
  })

  it('asks a second provider only for what the first did not meet', () => {
    const entries = resolvePlan([element('a', '+x +y'), element('b', '+x'), element('c', '-x -y')])?.entries ?? []
    expect(requiresFor(entries, 'a', new Set()).map(({ name }) => name)).toEqual(['x', 'y'])
    expect(requiresFor(entries, 'b', new Set(['y'])).map(({ name }) => name)).toEqual(['x'])
    expect(requiresFor(entries, 'b', new Set(['x', 'y']))).toEqual([])
  })
})
