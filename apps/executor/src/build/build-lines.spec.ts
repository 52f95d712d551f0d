import { describe, expect, it } from 'vitest'
import { formatLine, LineCutter } from './build-lines.js'

describe('lines of a build', () => {
  it.each([
    ['a line of the grammar stays', '-----> Step', '-----> Step\n'],
    ['a detail stays', '       detail', '       detail\n'],
    ['an error stays', ' !     broken', ' !     broken\n'],
    ['anything else becomes a detail', 'npm notice', '       npm notice\n'],
    ['an empty line stays empty', '   ', '\n'],
    ['colours and cursor movements go', '\u001b[31mred\u001b[0m\u001b[2K', '       red\n'],
    ['a title for the terminal goes', '\u001b]0;owned\u0007text', '       text\n'],
    ['of a progress bar the last state stays', '10%\r50%\r100%', '       100%\n'],
    ['a line end of another system goes', 'text\r', '       text\n'],
    ['control characters go', 'a\u0000b\u0008c', '       abc\n'],
  ])('%s', (_rule, raw, expected) => {
    expect(formatLine(raw)).toBe(expected)
  })

  it('are cut wherever the pieces of output end', () => {
    const cutter = new LineCutter()
    expect([...cutter.push('a\nb'), ...cutter.push('c\n\nd'), ...cutter.end()]).toEqual(['a', 'bc', '', 'd'])
    expect(cutter.end()).toEqual([])
  })

  it('are cut when they never end', () => {
    const cutter = new LineCutter()
    expect(cutter.push('x'.repeat(20_000))).toEqual(['x'.repeat(20_000)])
  })
})
