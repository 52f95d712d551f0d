import { describe, expect, it } from 'vitest'
import { satisfies, wantedNode } from './node-version.js'

const wanted = (engines?: string, nvmrc?: string, nodeVersion?: string): [string, string | null] => {
  const { range, source } = wantedNode({ engines, nvmrc, nodeVersion })
  return [range, source]
}

describe('the Node an app asks for', () => {
  it.each<[string, [string | null, (string | undefined)?, string?], [string, string | null]]>([
    ['nothing said: the present LTS', [null], ['24.x', null]],
    ['engines wins', ['22.x', '20', '26'], ['22.x', 'package.json engines.node']],
    ['then .nvmrc', [null, 'v20.1.0\n', '26'], ['v20.1.0', '.nvmrc']],
    ['then .node-version', [null, undefined, '26'], ['26', '.node-version']],
    ['an empty one says nothing', ['', '\n# comment\n', '22'], ['22', '.node-version']],
    ['names of LTS lines', [null, 'lts/jod'], ['22.x', '.nvmrc']],
    ['lts/* is the present LTS', [null, 'lts/*'], ['24.x', '.nvmrc']],
    ['a range stays a range', ['>=20 <25'], ['>=20 <25', 'package.json engines.node']],
  ])('%s', (_what, [engines, nvmrc, nodeVersion], expected) => {
    expect(wanted(engines ?? undefined, nvmrc, nodeVersion)).toEqual(expected)
  })

  it.each([
    ['no version', 'latest-and-greatest', /is no version/],
    ['a version too old', '14.x', /older than/],
  ])('refuses %s with the place it is written in', (_what, value, why) => {
    expect(() => wanted(value)).toThrow(why)
    expect(() => wanted(value)).toThrow('package.json engines.node')
  })

  it('is met by a version in the range', () => {
    expect(satisfies('24.21.0', '24.x')).toBe(true)
    expect(satisfies('24.21.0', '>=18')).toBe(true)
    expect(satisfies('24.21.0', '^22.1')).toBe(false)
  })
})
