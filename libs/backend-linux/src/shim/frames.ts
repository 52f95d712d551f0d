/**
 * The frames between us and a shim: u32 length of the rest, u8 type, payload; integers little-endian. Pure.
 * The other side is `native/croft-init.c`.
 */
import type { AttachFrom } from '@croft/garden-api'

/** Larger frames end the connection on either side. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024
const LENGTH_BYTES = 4
const OUTPUT = 'O'.charCodeAt(0)
/** Type, stream, offset and dropped bytes of an output frame. */
const OUTPUT_HEAD_BYTES = 18

export const KINDS = { exec: 0, 'tar-in': 1, 'tar-out': 2 } as const
export const RUN_FLAGS = { stdin: 1, stdout: 2, stderr: 4, lossless: 8, tty: 16, tail: 32 } as const

/** Codes of an error frame. */
export const SHIM_ERRORS = {
  bad: 1,
  noProcess: 2,
  inUse: 3,
  exec: 4,
  user: 5,
  dir: 6,
  limit: 7,
  gone: 8,
  system: 9,
} as const

/** Linux numbers of RLIMIT_*, the same on x86-64 and arm64. */
export const RLIMIT_NUMBERS = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
} as const

export interface RunRequest {
  kind: keyof typeof KINDS
  flags: number
  columns: number
  rows: number
  id: string
  user: string
  dir: string
  path: string
  rlimits: readonly (readonly [resource: number, value: number])[]
  args: readonly string[]
  env: readonly string[]
}

export interface ShimExit {
  exitCode: number
  signal: number | null
  isOutOfMemory: boolean
  exitedAtMs: number
}

export interface RunningProcess {
  id: string
  pid: number
  startedAtMs: number
}

export type ShimFrame =
  | { type: 'started'; pid: number; startedAtMs: number }
  | { type: 'output'; stream: 'stdout' | 'stderr'; offset: number; droppedBytes: number; data: Buffer }
  | { type: 'exit'; exit: ShimExit }
  | { type: 'error'; code: number; errno: number; text: string }
  | { type: 'processes'; initPid: number; processes: RunningProcess[] }
  | { type: 'ok' }

/** Bytes that are no frame: too long, too short, of an unknown type. */
export class FrameError extends Error {}

class Builder {
  readonly #parts: Buffer[] = []
  u8(value: number): this {
    return this.bytes(Buffer.of(value))
  }
  u16(value: number): this {
    const part = Buffer.alloc(2)
    part.writeUInt16LE(value)
    return this.bytes(part)
  }
  u32(value: number): this {
    const part = Buffer.alloc(4)
    part.writeUInt32LE(value)
    return this.bytes(part)
  }
  u64(value: number | bigint): this {
    const part = Buffer.alloc(8)
    part.writeBigUInt64LE(BigInt(value))
    return this.bytes(part)
  }
  /** u16 length and bytes. */
  id(value: string): this {
    const text = Buffer.from(value)
    return this.u16(text.length).bytes(text)
  }
  /** u32 length with the final NUL counted. */
  text(value: string): this {
    const text = Buffer.from(value)
    return this.u32(text.length + 1)
      .bytes(text)
      .u8(0)
  }
  bytes(part: Buffer): this {
    this.#parts.push(part)
    return this
  }
  frame(type: string): Buffer {
    const payload = Buffer.concat(this.#parts)
    const head = Buffer.alloc(5)
    head.writeUInt32LE(payload.length + 1)
    head.write(type, 4, 'latin1')
    const whole = Buffer.concat([head, payload])
    if (payload.length + 1 > MAX_FRAME_BYTES) throw new FrameError('a request is longer than a frame may be')
    return whole
  }
}

export const helloFrame = (): Buffer => new Builder().frame('H')

export function runFrame(request: RunRequest): Buffer {
  const builder = new Builder()
    .u8(KINDS[request.kind])
    .u8(request.flags)
    .u16(request.columns)
    .u16(request.rows)
    .id(request.id)
    .text(request.user)
    .text(request.dir)
    .text(request.path)
    .u32(request.rlimits.length)
  for (const [resource, value] of request.rlimits) builder.u8(resource).u64(value)
  builder.u32(request.args.length)
  for (const arg of request.args) builder.text(arg)
  builder.u32(request.env.length)
  for (const line of request.env) builder.text(line)
  return builder.frame('R')
}

/** Joins a process from a place in its output on; with the flag `tail` the numbers are bytes before the present end. */
export function attachFrame(id: string, flags: number, from: AttachFrom): Buffer {
  const end = 2n ** 64n - 1n
  const at = (stream: 'stdout' | 'stderr'): number | bigint => {
    if (from.kind === 'now') return end
    return from.kind === 'tail' ? from.bytes : (from[stream] ?? 0)
  }
  return new Builder()
    .u8(flags | (from.kind === 'tail' ? RUN_FLAGS.tail : 0))
    .u64(at('stdout'))
    .u64(at('stderr'))
    .id(id)
    .frame('A')
}

/** What goes before a piece of standard input, which follows as it is; an empty piece ends the input. */
export function stdinHead(pieceBytes: number): Buffer {
  const head = Buffer.alloc(LENGTH_BYTES + 1)
  head.writeUInt32LE(pieceBytes + 1)
  head.write('I', LENGTH_BYTES, 'latin1')
  return head
}
export const signalFrame = (id: string, signal: number): Buffer => new Builder().u32(signal).id(id).frame('S')
export const resizeFrame = (id: string, columns: number, rows: number): Buffer =>
  new Builder().u16(columns).u16(rows).id(id).frame('W')

/** The container's address and its gateway, both dotted: what its end of the pair gets. */
export const networkFrame = (address: string, gateway: string): Buffer =>
  new Builder().bytes(Buffer.from([...address.split('.'), ...gateway.split('.')].map(Number))).frame('N')

/** A program to start, by its path and arguments, and the file its standard error goes to; '': the same as its output. */
export function programFrame(argv: readonly string[], logPath: string): Buffer {
  const builder = new Builder().text(logPath).u32(argv.length)
  for (const arg of argv) builder.text(arg)
  return builder.frame('P')
}

type OutputFrame = ShimFrame & { type: 'output' }

/**
 * Cuts a byte stream into frames; throws FrameError and stays broken once something is wrong. Output comes as it arrives, one
 * frame in as many pieces as it takes, so that none of it is copied: its data lies in the chunk that was pushed.
 */
export class FrameReader {
  #chunks: Buffer[] = []
  #size = 0
  /** Bytes that must be there before another frame can be whole. */
  #needed = LENGTH_BYTES
  /** Output whose end has not come yet. */
  #open: { head: OutputFrame; leftBytes: number } | null = null
  #isBroken = false

  push(chunk: Buffer): ShimFrame[] {
    if (this.#isBroken) throw new FrameError('the stream is broken')
    const frames: ShimFrame[] = []
    const rest = this.#open === null ? chunk : this.#continue(this.#open, chunk, frames)
    if (rest.length === 0) return frames
    this.#size += rest.length
    if (this.#size < this.#needed) {
      this.#chunks.push(Buffer.from(rest)) // the chunk may be lent
      return frames
    }
    const bytes = this.#chunks.length === 0 ? rest : Buffer.concat([...this.#chunks, rest], this.#size)
    try {
      this.#cut(bytes, frames)
    } catch (error) {
      this.#isBroken = true
      throw error instanceof FrameError ? error : new FrameError('a frame is too short for its type', { cause: error })
    }
    return frames
  }

  /** Takes what belongs to the open output, and gives back what comes after it. */
  #continue(open: { head: OutputFrame; leftBytes: number }, chunk: Buffer, frames: ShimFrame[]): Buffer {
    const data = chunk.subarray(0, open.leftBytes)
    frames.push({ ...open.head, data })
    const leftBytes = open.leftBytes - data.length
    const offset = open.head.offset + data.length
    this.#open = leftBytes === 0 ? null : { head: { ...open.head, offset }, leftBytes }
    return chunk.subarray(data.length)
  }
  #cut(bytes: Buffer, frames: ShimFrame[]): void {
    let at = 0
    this.#needed = LENGTH_BYTES
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32LE(at)
      if (length < 1 || length > MAX_FRAME_BYTES) throw new FrameError(`a frame of ${length} bytes`)
      const frame = bytes.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length)
      const isWhole = frame.length === length
      if (!isWhole && (frame[0] !== OUTPUT || length < OUTPUT_HEAD_BYTES || frame.length < OUTPUT_HEAD_BYTES)) {
        this.#needed = LENGTH_BYTES + (frame[0] === OUTPUT ? Math.min(length, OUTPUT_HEAD_BYTES) : length)
        break
      }
      const parsed = parseFrame(frame)
      frames.push(parsed)
      at += LENGTH_BYTES + frame.length
      if (isWhole || parsed.type !== 'output') continue
      const offset = parsed.offset + parsed.data.length
      this.#open = { head: { ...parsed, offset, droppedBytes: 0 }, leftBytes: length - frame.length }
    }
    this.#chunks = at < bytes.length ? [Buffer.from(bytes.subarray(at))] : []
    this.#size = bytes.length - at
  }
}

function parseFrame(frame: Buffer): ShimFrame {
  const type = String.fromCharCode(frame.readUInt8(0))
  const body = frame.subarray(1)
  switch (type) {
    case 'S':
      return { type: 'started', pid: body.readUInt32LE(0), startedAtMs: Number(body.readBigUInt64LE(4)) }
    case 'O': {
      const stream = body.readUInt8(0)
      if (stream !== 1 && stream !== 2) throw new FrameError(`output of stream ${stream}`)
      return {
        type: 'output',
        stream: stream === 1 ? 'stdout' : 'stderr',
        offset: Number(body.readBigUInt64LE(1)),
        droppedBytes: Number(body.readBigUInt64LE(9)),
        data: body.subarray(17),
      }
    }
    case 'X':
      return {
        type: 'exit',
        exit: {
          exitCode: body.readInt32LE(0),
          signal: body.readInt32LE(4) || null,
          isOutOfMemory: body.readUInt8(8) === 1,
          exitedAtMs: Number(body.readBigUInt64LE(9)),
        },
      }
    case 'E':
      return { type: 'error', code: body.readUInt8(0), errno: body.readInt32LE(1), text: body.subarray(5).toString() }
    case 'P':
      return parseProcesses(body)
    case 'K':
      return { type: 'ok' }
    default:
      throw new FrameError(`a frame of unknown type ${JSON.stringify(type)}`)
  }
}

function parseProcesses(body: Buffer): ShimFrame {
  const processes: RunningProcess[] = []
  const count = body.readUInt32LE(4)
  let at = 8
  for (let i = 0; i < count; i++) {
    const length = body.readUInt16LE(at)
    if (at + 2 + length + 12 > body.length) throw new FrameError('a process list is cut short')
    const id = body.subarray(at + 2, at + 2 + length).toString()
    at += 2 + length
    processes.push({ id, pid: body.readUInt32LE(at), startedAtMs: Number(body.readBigUInt64LE(at + 4)) })
    at += 12
  }
  return { type: 'processes', initPid: body.readUInt32LE(0), processes }
}
