import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeInput, gardenSignal, JsonLines, payloads } from './payload.js'

describe('lines of JSON', () => {
  it('come out whole, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 }),
        (values, cuts) => {
          const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
          const lines = new JsonLines(1_000_000)
          const found: unknown[] = []
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const size = cuts[turn % cuts.length] ?? 1
            found.push(...lines.push(bytes.subarray(at, at + size)))
            at += size
          }
          expect(found).toEqual(JSON.parse(JSON.stringify(values)))
        },
      ),
    )
  })

  it('that are no JSON come as errors, and those that are too long end it', () => {
    const lines = new JsonLines(10)
    expect(lines.push(Buffer.from('{a}\n\n1\n'))).toEqual([expect.any(Error), 1])
    expect(() => lines.push(Buffer.alloc(11, '1'))).toThrow('a line is longer than 10 bytes')
  })
})

describe('a frame of input', () => {
  it.each([
    [
      { process_id: 'p', source: 0, data: 'text' },
      { kind: 'stdin', data: Buffer.from('text') },
    ],
    [
      { process_id: 'p', source: 0, data: '' },
      { kind: 'stdin', data: Buffer.alloc(0) },
    ],
    [
      { source: 0, data_b64: '/wA=' },
      { kind: 'stdin', data: Buffer.from([255, 0]) },
    ],
    [{ process_id: 'p', source: 0 }, { kind: 'stdin-end' }],
    [
      { process_id: 'p', signal: 0 },
      { kind: 'signal', signal: 15 },
    ],
    [
      { process_id: 'p', signal: 1 },
      { kind: 'signal', signal: 9 },
    ],
    [{ signal_number: 28 }, { kind: 'signal', signal: 28 }],
    [{ tty: { window_size: { columns: 100, rows: 40 } } }, { kind: 'resize', columns: 100, rows: 40 }],
    [{ tty: {} }, { kind: 'nothing' }],
    [{ process_id: 'p', later: 'invention' }, { kind: 'nothing' }],
  ])('%j is %j', (json, frame) => {
    expect(decodeInput(json)).toEqual(frame)
  })

  it.each([{ source: 1, data: 'x' }, { signal: 2 }, { signal_number: 65 }, { data_b64: '*' }, { data: 7 }, 7, []])(
    '%j is refused',
    (json) => {
      expect(() => decodeInput(json)).toThrow(/^input frame/)
    },
  )

  it('of ours is read as it was meant, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const data = Buffer.from(bytes)
        expect(decodeInput(payloads.stdin('p', data, true))).toEqual({ kind: 'stdin', data })
      }),
    )
    expect(decodeInput(payloads.stdinEnd('p'))).toEqual({ kind: 'stdin-end' })
    expect(decodeInput(payloads.resize('p', 3, 4))).toEqual({ kind: 'resize', columns: 3, rows: 4 })
    expect([gardenSignal(15), gardenSignal(9), gardenSignal(1)]).toEqual([0, 1, null])
  })
})
