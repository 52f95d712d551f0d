import { describe, expect, it } from 'vitest'
import { runsIn } from './buildpack.js'
import type { BuildpackToml } from './formats/buildpack-toml.js'
import { parseOrderToml, type Order } from './formats/order-toml.js'
import { parseSystemToml } from './formats/system-toml.js'
import { expandOrder, surroundOrder } from './order.js'

/** `a b? c@2`: ids of a group, optional ones with a question mark, versions behind an at sign (else 1). */
const order = (...groups: string[]): Order =>
  groups.map((text) => ({
    group: text
      .split(' ')
      .filter(Boolean)
      .map((word) => {
        const [id = '', version = '1'] = word.replace('?', '').split('@')
        return { id, version, ...(word.endsWith('?') && { optional: true }) }
      }),
  }))
const composites: Record<string, Order> = {
  'meta@1': order('a b', 'c'),
  'outer@1': order('meta d'),
  'E@1': order('A F B'),
  'F@1': order('C', 'G?', 'D'),
  'G@1': order('A@2 B@2', 'C@2 D@2'),
  'loop@1': order('a knot'),
  'knot@1': order('loop'),
}
const others = ['a', 'b', 'c', 'd', 'A', 'B', 'C', 'D', 'old', 'only-tests'].flatMap((id) => [`${id}@1`, `${id}@2`])
const lookup = (id: string, version = '1'): BuildpackToml | undefined => {
  const key = `${id}@${version}`
  const inner = composites[key]
  if (inner === undefined && !others.includes(key)) return undefined
  return {
    api: id === 'old' ? '0.6' : '0.12',
    buildpack: { id, version, ...(id === 'only-tests' && { 'exec-env': ['test'] }) },
    ...(inner !== undefined && { order: inner }),
  }
}
const text = (groups: Iterable<{ id: string; version: string; isOptional: boolean }[]>): string[] =>
  [...groups].map((group) =>
    group
      .map(({ id, version, isOptional }) => `${id}${version === '1' ? '' : `@${version}`}${isOptional ? '?' : ''}`)
      .join(' '),
  )
const expand = (...groups: string[]): string[] => text(expandOrder(order(...groups), lookup))

describe('the order of buildpacks', () => {
  it.each<[string, string[], string[]]>([
    ['groups are tried as they stand', ['a b?', 'c'], ['a b?', 'c']],
    ['a composite is replaced by each of its groups, the rest appended', ['meta d'], ['a b d', 'c d']],
    ['composites nest', ['outer'], ['a b d', 'c d']],
    ['an id that is already there is skipped', ['b meta'], ['b a', 'b c']],
    ['an optional composite is also left out, after its groups', ['meta? d'], ['a b d', 'c d', 'd']],
    ['a component stays optional', ['a?'], ['a?']],
    ['another version of an id counts as the same', ['a a@2 b'], ['a b']],
    ['composites in composites are tried depth first', ['E'], ['A C B', 'A B@2', 'A C@2 D@2 B', 'A B', 'A D B']],
    ['an empty group is a group', [''], ['']],
  ])('%s', (_rule, groups, expected) => {
    expect(expand(...groups)).toEqual(expected)
  })

  it.each<[string, string[], RegExp, number]>([
    ['one that is not installed', ['a nosuch@3'], /buildpack nosuch@3 is not installed/, 22],
    ['one of another API', ['old'], /old@1 speaks buildpack API 0\.6/, 12],
    ['one that contains itself', ['loop'], /loop@1 -> knot@1 -> loop@1/, 22],
  ])('names %s, with its exit code', (_what, groups, why, exitCode) => {
    expect(() => expand(...groups)).toThrow(expect.objectContaining({ message: expect.stringMatching(why), exitCode }))
  })

  it('looks at nothing behind the group that was taken', () => {
    expect(expandOrder(order('a', 'nosuch'), lookup).next().value).toEqual([
      { id: 'a', version: '1', isOptional: false },
    ])
  })

  it('skips what does not take part in the execution environment', () => {
    const groups = (execEnv: string): string[] =>
      text(expandOrder(order('only-tests a'), lookup, (toml) => runsIn(toml, execEnv)))
    expect(groups('production')).toEqual(['a'])
    expect(groups('test')).toEqual(['only-tests a'])
  })

  it('may be surrounded by what a platform adds, each id once', () => {
    const { pre, post } = parseSystemToml(
      '[[system.pre.buildpacks]]\nid="p"\nversion="1"\n[[system.pre.buildpacks]]\nid="b"\nversion="2"\n[[system.post.buildpacks]]\nid="q"\nversion="1"\noptional=true\n',
    )
    const names = surroundOrder(order('a b', 'c'), pre, post).map(({ group }) => group.map(({ id }) => id).join(' '))
    expect(names).toEqual(['p a b q', 'p b c q'])
    expect([...pre, ...post].map(({ optional }) => optional)).toEqual([undefined, undefined, true])
    expect(surroundOrder(order('a'), [], [])).toEqual(order('a'))
  })

  it('refuses image extensions', () => {
    const asks = '[[order]]\n[[order.group]]\nid="a"\n[[order-extensions]]\n[[order-extensions.group]]\nid="x"\n'
    expect(() => parseOrderToml(asks)).toThrow('order.toml asks for image extensions')
  })
})
