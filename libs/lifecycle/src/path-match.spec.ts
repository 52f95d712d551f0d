import { describe, expect, it } from 'vitest'
import * as fc from 'fast-check'
import { BadPattern, matchPath } from './path-match.js'

describe('a pattern over a path', () => {
  it.each<[pattern: string, path: string, isMatch: boolean]>([
    ['abc', 'abc', true],
    ['*', 'abc', true],
    ['*', '', true],
    ['*c', 'abc', true],
    ['a*', 'a', true],
    ['a*', 'abc', true],
    ['a*', 'ab/c', false],
    ['a*/b', 'abc/b', true],
    ['a*/b', 'a/c/b', false],
    ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxe/xxx/f', false],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/fff', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^c]', 'abc', false],
    ['ab[^b-d]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['a?b', 'a☺b', true],
    ['a[^a]b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['[a-ζ]*', 'α', true],
    ['*[a-ζ]', 'A', false],
    ['a?b', 'a/b', false],
    ['a*b', 'a/b', false],
    ['[\\]a]', ']', true],
    ['[\\-]', '-', true],
    ['[x\\-]', 'x', true],
    ['[x\\-]', 'z', false],
    ['[\\-x]', 'a', false],
    ['*x', 'xxx', true],
    ['static/**', 'static/a', true],
    ['static/**', 'static/a/b', false],
    ['node_modules', 'node_modules', true],
    ['.*', '.env', true],
    ['', '', true],
    ['', 'a', false],
  ])('%s on %s: %s', (pattern, path, isMatch) => {
    expect(matchPath(pattern, path)).toBe(isMatch)
  })

  it.each(['[]a]', '[-]', '[x-]', '[-x]', '[a-b-c]', '[', '[^', '[^bc', 'a[', 'a\\', '[a-'])(
    'refuses %s, which is malformed, whatever the path',
    (pattern) => {
      expect(() => matchPath(pattern, 'anything')).toThrow(BadPattern)
    },
  )

  it('of escaped characters matches exactly its own text', () => {
    const text = fc.string({ maxLength: 20 })
    const escaped = (value: string): string =>
      Array.from(value)
        .map((char) => `\\${char}`)
        .join('')
    fc.assert(
      fc.property(text, text, (value, other) => {
        expect(matchPath(escaped(value), value)).toBe(true)
        expect(matchPath(escaped(value), other)).toBe(value === other)
      }),
    )
  })

  it('never takes longer than pattern times path', () => {
    const startedAt = performance.now()
    matchPath('a*'.repeat(500), 'a'.repeat(5_000) + 'b/')
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })
})
