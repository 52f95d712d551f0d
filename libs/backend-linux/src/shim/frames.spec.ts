import { describe, expect, it } from 'vitest'
import * as fc from 'fast-check'
import {
  attachFrame,
  FrameError,
  FrameReader,
  MAX_FRAME_BYTES,
  RUN_FLAGS,
  runFrame,
  stdinHead,
  type ShimFrame,
} from './frames.js'

function frame(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32LE(body.length + 1)
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, body])
}

const started = Buffer.alloc(12)
started.writeUInt32LE(4321)
started.writeBigUInt64LE(1_700_000_000_000n, 4)
const exit = Buffer.alloc(17)
exit.writeInt32LE(137)
exit.writeInt32LE(9, 4)
exit.writeUInt8(1, 8)
exit.writeBigUInt64LE(1_700_000_000_001n, 9)
const output = Buffer.concat([Buffer.of(2), Buffer.alloc(16), Buffer.from('text')])
output.writeBigUInt64LE(7n, 1)
output.writeBigUInt64LE(3n, 9)

const whole = Buffer.concat([frame('S', started), frame('O', output), frame('X', exit), frame('K', Buffer.alloc(0))])
const parsed: ShimFrame[] = [
  { type: 'started', pid: 4321, startedAtMs: 1_700_000_000_000 },
  { type: 'output', stream: 'stderr', offset: 7, droppedBytes: 3, data: Buffer.from('text') },
  { type: 'exit', exit: { exitCode: 137, signal: 9, isOutOfMemory: true, exitedAtMs: 1_700_000_000_001 } },
  { type: 'ok' },
]

/** Frames with the pieces of one output put together. */
function joined(frames: readonly ShimFrame[]): ShimFrame[] {
  const whole: ShimFrame[] = []
  for (const frame of frames) {
    const last = whole.at(-1)
    const isNext = last?.type === 'output' && frame.type === 'output' && frame.offset === last.offset + last.data.length
    if (!isNext) whole.push(frame)
    else whole.splice(-1, 1, { ...last, data: Buffer.concat([last.data, frame.data]) })
  }
  return whole
}

describe('frames from a shim', () => {
  it('are read the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: whole.length }), { maxLength: 12 }), (cuts) => {
        const reader = new FrameReader()
        const edges = [0, ...[...cuts].toSorted((a, b) => a - b), whole.length]
        const frames = edges
          .slice(1)
          .flatMap((edge, index) => reader.push(Buffer.from(whole.subarray(edges[index], edge))))
        expect(joined(frames)).toEqual(parsed)
      }),
    )
  })

  it('are refused for good when they are none, and never crash the reader otherwise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const reader = new FrameReader()
        try {
          reader.push(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError)
          expect(() => reader.push(whole)).toThrow(FrameError)
        }
      }),
      { numRuns: 500 },
    )
  })

  it.each(['S', 'O', 'X', 'E', 'P', 'Z'])('of type %s are refused when too short', (type) => {
    expect(() => new FrameReader().push(frame(type, Buffer.alloc(0)))).toThrow(FrameError)
  })

  it('are refused when longer than any may be', () => {
    const head = Buffer.alloc(4)
    head.writeUInt32LE(MAX_FRAME_BYTES + 1)
    expect(() => new FrameReader().push(head)).toThrow(FrameError)
  })
})

describe('requests to a shim', () => {
  it.each([
    ['the present end', { kind: 'now' }, 0, [2n ** 64n - 1n, 2n ** 64n - 1n]],
    ['offsets', { kind: 'offset', stdout: 7 }, 0, [7n, 0n]],
    ['so many bytes before the end', { kind: 'tail', bytes: 9 }, RUN_FLAGS.tail, [9n, 9n]],
  ] as const)('to join a process say where in its output: %s', (_what, from, flag, places) => {
    const frame = attachFrame('a', RUN_FLAGS.stdout, from)
    expect(frame.readUInt8(5)).toBe(RUN_FLAGS.stdout | flag)
    expect([frame.readBigUInt64LE(6), frame.readBigUInt64LE(14)]).toEqual(places)
  })

  it('say before a piece of input how long it is', () => {
    const piece = Buffer.from('input')
    expect(Buffer.concat([stdinHead(piece.length), piece])).toEqual(frame('I', piece))
    expect(stdinHead(0)).toEqual(frame('I', Buffer.alloc(0)))
  })

  it('are refused when they are longer than a frame', () => {
    const request = {
      kind: 'exec' as const,
      flags: 0,
      columns: 0,
      rows: 0,
      id: 'a',
      user: '',
      dir: '',
      path: 'x',
      rlimits: [],
      args: [],
    }
    expect(() => runFrame({ ...request, env: [`A=${'x'.repeat(MAX_FRAME_BYTES)}`] })).toThrow(FrameError)
  })
})
