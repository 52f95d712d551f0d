import { describe, expect, it } from 'vitest'
import { parseProcfile, ProcfileSyntaxError } from './procfile.js'

describe('a Procfile', () => {
  it('names process types and their commands, whatever ends its lines', () => {
    const text =
      '\uFEFF# comment\r\nweb: node server.js --port $PORT\r\n\r\n  worker :  node worker.js: x  \nrelease: true'
    expect([...parseProcfile(text)]).toEqual([
      ['web', 'node server.js --port $PORT'],
      ['worker', 'node worker.js: x'],
      ['release', 'true'],
    ])
  })
  it.each([
    ['web: a\nthis is not a process\n', 2, 'colon'],
    ['web:\n', 1, 'no command'],
    ['\n\n-/x: a', 3, 'letters'],
    ['web: a\nweb: b', 2, 'twice'],
    ['we b: a', 1, 'letters'],
  ])('%j is refused at line %d', (text, line, why) => {
    const parse = (): unknown => parseProcfile(text)
    expect(parse).toThrow(ProcfileSyntaxError)
    expect(parse).toThrow(new RegExp(`line ${line}.*${why}`))
  })
})
