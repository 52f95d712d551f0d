import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cut, readKeptLog } from './logs.js'

const piece = (base: number, text: string): { base: number; data: Buffer } => ({ base, data: Buffer.from(text) })

describe('kept output', () => {
  it.each([
    ['nothing yet', [], 0, 0, '', 0],
    ['one file from its start', [piece(0, 'abc')], 0, 0, 'abc', 0],
    ['from the middle', [piece(0, 'abcdef')], 4, 4, 'ef', 0],
    ['two files that fit', [piece(10, 'abc'), piece(13, 'def')], 12, 12, 'cdef', 0],
    ['what was overwritten counts as dropped', [piece(10, 'abc'), piece(13, 'def')], 4, 10, 'abcdef', 6],
    ['a gap between the files drops the older', [piece(10, 'abc'), piece(20, 'def')], 0, 20, 'def', 20],
    ['at the end', [piece(0, 'abc')], 3, 3, '', 0],
    ['past the end', [piece(0, 'abc')], 9, 9, '', 0],
  ])('%s', (_what, pieces, from, offset, text, droppedBytes) => {
    const chunk = cut('stdout', pieces, from)
    expect({ ...chunk, data: chunk.data.toString() }).toEqual({ stream: 'stdout', offset, data: text, droppedBytes })
  })
})

describe('a log on disk', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'kept-log-'))
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  /** What the shim does to a file of its own: the head says first that it is another, then it is written over. */
  const begin = (name: string, base: number, text: string): void => {
    const file = openSync(join(dir, name), 'a+')
    closeSync(file)
    const fd = openSync(join(dir, name), 'r+')
    const head = (end: number): Buffer => Buffer.from(new BigUint64Array([BigInt(base), BigInt(end)]).buffer)
    writeSync(fd, head(base), 0, 16, 0)
    writeSync(fd, text, 16)
    writeSync(fd, head(base + text.length), 0, 16, 0)
    closeSync(fd)
  }
  const kept = async (from = 0): Promise<object> => {
    const chunk = await readKeptLog(dir, 'stdout', from)
    return { offset: chunk.offset, text: chunk.data.toString(), droppedBytes: chunk.droppedBytes }
  }

  it('ends where its head says, whatever an earlier use has left behind that', async () => {
    begin('out.log', 0, 'old old old')
    begin('out.log.1', 20, 'abc')
    begin('out.log', 23, 'de')
    expect(await kept(20)).toEqual({ offset: 20, text: 'abcde', droppedBytes: 0 })
    expect(await kept(24)).toEqual({ offset: 24, text: 'e', droppedBytes: 0 })
    expect(await kept(25)).toEqual({ offset: 25, text: '', droppedBytes: 0 })
  })

  it('is never a mixture of what was there and what it is written over with', async () => {
    const length = 20_000
    const textAt = (base: number): string =>
      String(base)
        .padStart(10, '0')
        .repeat(length / 10)
    let base = 0
    begin('out.log', base, textAt(base))
    const writer = setInterval(() => begin('out.log', (base += length), textAt(base)), 0)
    try {
      for (let round = 0; round < 200; round++) {
        const { offset, data } = await readKeptLog(dir, 'stdout')
        if (data.length > 0) expect(data.toString()).toBe(textAt(offset))
      }
    } finally {
      clearInterval(writer)
    }
    expect(base).toBeGreaterThan(length)
  })
})
