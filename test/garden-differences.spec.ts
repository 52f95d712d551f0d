import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** What docs/garden-differences.md says of tests is so. */

const root = resolve(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const rowsOf = (heading: string): string[][] => {
  const section =
    read('docs/garden-differences.md')
      .split(/^## /m)
      .find((part) => part.startsWith(heading)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('| '))
  return lines.slice(1).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

const count = (letter: string, last: number): string[] =>
  Array.from({ length: last }, (_nothing, index) => `${letter}${index + 1}`)
/** The groups of specs of Garden's integration suite. */
const ROWS = [
  ...'CIKXTAPRUZ'.split('').map((letter) => `${letter}1`),
  ...count('D', 2),
  ...count('L', 18),
  ...count('M', 6),
  ...count('N', 4),
  ...count('S', 5),
]
const specs = globSync(['libs/garden-api/src/conformance/specs/*.ts', 'test/system/container-*.spec.ts'], { cwd: root })
const titles = specs.flatMap((file) => [...read(file).matchAll(/['"`]((?:(?:[A-Z]\d+|defect \d+)(?:, )?)+): /g)])
const tested = new Set(titles.flatMap((match) => (match[1] ?? '').split(', ')))

describe('the page about what differs from Garden', () => {
  it.each(ROWS)('says of row %s why it is not met, unless a spec bears its name', (row) => {
    const excused = rowsOf('Rows that are not met').flatMap(([names]) => (names ?? '').split(', '))
    expect(tested.has(row) || excused.includes(row)).toBe(true)
  })

  it('names a test for each of the sixteen defects', () => {
    const rows = rowsOf("Real Garden's defects")
    expect(rows.map(([number]) => number)).toEqual(Array.from({ length: 16 }, (_nothing, index) => String(index + 1)))
    for (const [number, , , file] of rows) {
      const text = read((file ?? '').replaceAll('`', ''))
      expect(text, `${file} about defect ${number}`).toMatch(new RegExp(`['"\`](?:[A-Z]\\d+, )*defect ${number}: `))
    }
  })
})
