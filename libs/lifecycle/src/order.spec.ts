import { describe, expect, it } from 'vitest'
import type { BuildpackToml } from './formats/buildpack-toml.js'
import type { Order } from './formats/order-toml.js'
import { expandOrder } from './order.js'

/** `a b? c`: ids of a group, optional ones with a question mark. */
const order = (...groups: string[]): Order =>
  groups.map((text) => ({
    group: text
      .split(' ')
      .map((word) => ({ id: word.replace('?', ''), ...(word.endsWith('?') && { optional: true }) })),
  }))
const installed: Record<string, Order | undefined> = {
  a: undefined,
  b: undefined,
  c: undefined,
  d: undefined,
  meta: order('a b', 'c'),
  outer: order('meta d'),
}
const lookup = (id: string): BuildpackToml | undefined => {
  if (!(id in installed)) return undefined
  const inner = installed[id]
  return { api: '0.12', buildpack: { id, version: '1' }, ...(inner !== undefined && { order: inner }) }
}
const expand = (...groups: string[]): string[] =>
  expandOrder(order(...groups), lookup).map((group) =>
    group.map(({ id, isOptional }) => `${id}${isOptional ? '?' : ''}`).join(' '),
  )

describe('the order of buildpacks', () => {
  it.each<[string, string[], string[]]>([
    ['groups are tried as they stand', ['a b?', 'c'], ['a b?', 'c']],
    ['a composite is replaced by each of its groups, the rest appended', ['meta d'], ['a b d', 'c d']],
    ['composites nest', ['outer'], ['a b d', 'c d']],
    ['an id that is already there is skipped', ['b meta'], ['b a', 'b c']],
    ['an optional composite is also left out', ['meta? d'], ['a b d', 'c d', 'd']],
  ])('%s', (_rule, groups, expected) => {
    expect(expand(...groups)).toEqual(expected)
  })

  it('names a buildpack that is not installed', () => {
    expect(() => expand('a nosuch')).toThrow('buildpack nosuch is not installed')
  })
})
