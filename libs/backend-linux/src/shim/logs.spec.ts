import { describe, expect, it } from 'vitest'
import { cut } from './logs.js'

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
