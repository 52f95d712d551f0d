import { describe, expect, it } from 'vitest'
import { readableLine, readLogTail } from './log-lines.js'

describe('log lines for people', () => {
  it('show event and fields of a JSON line, its level only when it matters', () => {
    const line =
      '{"level":"warn","time":"2026-11-21T11:54:59.221Z","component":"router","event":"watch-failed","failures":3}'
    expect(readableLine(line)).toBe('11:54:59 warn: watch-failed failures=3')
  })
  it('leave other lines as they are', () => {
    expect(readableLine('LOG:  ready {')).toBe('LOG:  ready {')
    expect(readableLine('{broken')).toBe('{broken')
  })
  it('sum a log up in its last complaint, else in its last line', () => {
    const log = 'starting\nError: no such file\n    at main\n\nNode.js v24.21.0\n'
    expect(readLogTail(log)).toBe('Error: no such file')
    expect(readLogTail('a\nb\n')).toBe('b')
    expect(readLogTail('')).toBe('')
  })
})
