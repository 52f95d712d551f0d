import { describe, expect, it } from 'vitest'
import { checkAppName, InvalidAppName, NameUnavailable, RESERVED_NAMES } from './app-name.js'

describe('a name for an app', () => {
  it.each(['abc', 'a1b', 'shop', 'my-shop-2', `a${'b'.repeat(39)}`, 'a--b'])('may be %s', (name) => {
    expect(() => checkAppName(name)).not.toThrow()
  })
  it.each([
    '',
    'a',
    'ab',
    '1shop',
    '-shop',
    'shop-',
    'Shop',
    'sh_op',
    'sh.op',
    'shöp',
    'shop\n',
    `a${'b'.repeat(40)}`,
    '../etc',
  ])('may not be %j', (name) => {
    expect(() => checkAppName(name)).toThrow(InvalidAppName)
  })
  it.each(RESERVED_NAMES)('is unavailable when it is the reserved %s, in the words of a taken one', (name) => {
    expect(() => checkAppName(name)).toThrow(new NameUnavailable(name).message)
  })
  it.each([
    ['My Shop!', 'my-shop'],
    ['123-shop', 'shop'],
    ['___', 'my-app'],
    ['x'.repeat(80), 'x'.repeat(40)],
  ])('%j is refused with a suggestion that would do', (name, near) => {
    expect.assertions(1)
    try {
      checkAppName(name)
    } catch (error) {
      expect((error as InvalidAppName).suggestion).toBe(`try ${near}`)
    }
  })
})
