import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonProblem, lineOfMember, readJson } from './json-document.js'

const problem = (text: string): string => {
  try {
    readJson(text)
    return ''
  } catch (error) {
    return error instanceof JsonProblem ? error.message : String(error)
  }
}

describe('JSON that people write', () => {
  it('is read with and without a byte order mark', () => {
    expect([readJson('\uFEFF{"a":1}'), readJson('[]')]).toEqual([{ a: 1 }, []])
  })

  it.each([
    ['{\n  "a": 1\n  "b": 2\n}\n', /^line 3: not JSON: Expected ',' or '}' after property value$/],
    ['{\n  "a": 1,\n', /^line 2: not JSON: /],
    ['', /^line 1: not JSON: Unexpected end/],
    ['{\n"a": tru\n}', /^line 2: not JSON: Unexpected token/],
    ['hello\n', /^line 1: not JSON: Unexpected token 'h'$/],
  ])('%j is refused with line and rule', (text, expected) => expect(problem(text)).toMatch(expected))
})

it('nested without end is refused like any other', () => {
  expect(problem(`\n${'['.repeat(1_000_000)}`)).toMatch(/^line 2: not JSON: /)
  expect(lineOfMember(`[\n${'['.repeat(5_000)}${']'.repeat(5_000)}]`, [0, 0])).toBe(2)
})

describe('the line of a member', () => {
  const text = '{\n "a": {\n  "b\\"": [\n   1,\n   {"c": "}"},\n   [\n{ "d": null }]]\n },\n "e": "{",\n "a2":\n5\n}\n'
  it.each<[(string | number)[], number]>([
    [[], 1],
    [['a'], 2],
    [['a', 'b"'], 3],
    [['a', 'b"', 0], 4],
    [['a', 'b"', 1, 'c'], 5],
    [['a', 'b"', 2], 6],
    [['a', 'b"', 2, 0, 'd'], 7],
    [['e'], 9],
    [['a2'], 10],
    [['a', 'nosuch', 'at', 'all'], 2],
    [['nosuch'], 1],
  ])('%j is %i', (path, line) => expect(lineOfMember(text, path)).toBe(line))

  it('of a name that is there twice is that of the one that counts', () => {
    expect(lineOfMember('{"a":1,\n"a":2}', ['a'])).toBe(2)
  })

  it('of every member of every document is the line that has its name', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (document) => {
        const written = JSON.stringify(document, null, 1)
        const lines = written.split('\n')
        for (const name of Object.keys(document)) {
          expect(lines[lineOfMember(written, [name]) - 1]).toContain(` ${JSON.stringify(name)}:`)
        }
      }),
    )
  })
})
