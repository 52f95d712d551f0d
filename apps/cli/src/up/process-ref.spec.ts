import { describe, expect, it } from 'vitest'
import { isAlive, parseStat, processRef } from './process-ref.js'

describe('process references', () => {
  it('read state and start time also when the name holds brackets and spaces', () => {
    const after = Array.from({ length: 40 }, (_, index) => String(index + 4)).join(' ')
    expect(parseStat(`42 (a) R (b c)) S ${after}`)).toEqual({ state: 'S', startTime: '22' })
  })
  it('tell this process from another one with the same pid', () => {
    const me = processRef(process.pid)
    expect(me === undefined ? false : isAlive(me)).toBe(true)
    expect(isAlive({ pid: process.pid, startTime: '1' })).toBe(false)
  })
  it('say that a pid is free', () => {
    expect(processRef(2 ** 22 + 1)).toBeUndefined()
  })
})
