import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duration, printable, shellWord } from './text.js'

describe('text for a terminal', () => {
  it('is printable ASCII whatever came in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).toMatch(/^[\x20-\x7e]*$/)
      }),
    )
  })
  it.each([
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007text', 'text'],
    ['a\tb', 'a    b'],
    ['ü 日', '? ?'],
  ])('%j reads %j', (text, expected) => {
    expect(printable(text)).toBe(expected)
  })
  it.each([
    [49, '0.0 s'],
    [2_840, '2.8 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 0 s'],
    [185_000, '3 min 5 s'],
  ])('%d ms are %s', (ms, expected) => {
    expect(duration(ms)).toBe(expected)
  })
  it('quotes what is safe to copy and gives up on the rest', () => {
    expect(shellWord('feature-x')).toBe('feature-x')
    expect(shellWord('$(id)')).toBe("'$(id)'")
    expect(shellWord("it's")).toBeUndefined()
    expect(shellWord('-rf')).toBeUndefined()
  })
})
