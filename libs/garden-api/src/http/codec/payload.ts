import type { ProcessExit } from '../../types.js'
import { errorToWire, type ErrorBody } from './error-body.js'
import { decodeOrRefuse, integer, object, text, type Decoder } from './fields.js'
import { exitToWire, toMoment } from './process-info.js'
import { sizeOf, ttyFields } from './process-spec.js'

/** The JSON lines on the control connection of a run or attach, in both directions. */

export const SIGTERM = 15
export const SIGKILL = 9
/** Garden knows two signals, by its own numbers. */
const GARDEN_SIGNALS = [SIGTERM, SIGKILL]
const STDIN = 0
const MAX_SIGNAL = 64

/** What a client may send. */
export type InputFrame =
  | { kind: 'stdin'; data: Buffer }
  | { kind: 'stdin-end' }
  | { kind: 'resize'; columns: number; rows: number }
  | { kind: 'signal'; signal: number }
  | { kind: 'nothing' }

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const base64: Decoder<string> = text((value) => (BASE64.test(value) ? null : 'must be base64'))
/** Input may hold any character, NUL too. */
const anyText: Decoder<string> = (value, path, problems) => {
  if (typeof value === 'string') return value
  problems.set(path, 'must be a text')
  return undefined
}

const frameFields = object({
  source: integer(STDIN, STDIN),
  data: anyText,
  data_b64: base64,
  tty: ttyFields,
  signal: integer(0, GARDEN_SIGNALS.length - 1),
  signal_number: integer(1, MAX_SIGNAL),
})

/** One line. @throws InvalidSpecError */
export function decodeInput(json: unknown): InputFrame {
  return decodeOrRefuse<InputFrame>(
    'input frame',
    (value, problems) => {
      const wire = frameFields(value, '', problems)
      if (wire === undefined) return undefined
      if (wire.data_b64 !== undefined) return { kind: 'stdin', data: Buffer.from(wire.data_b64, 'base64') }
      if (wire.data !== undefined) return { kind: 'stdin', data: Buffer.from(wire.data) }
      if (wire.source !== undefined) return { kind: 'stdin-end' }
      if (wire.signal_number !== undefined) return { kind: 'signal', signal: wire.signal_number }
      if (wire.signal !== undefined) return { kind: 'signal', signal: GARDEN_SIGNALS[wire.signal] ?? SIGTERM }
      const size = wire.tty === undefined ? null : sizeOf(wire.tty)
      return size === null ? { kind: 'nothing' } : { kind: 'resize', ...size }
    },
    json,
  )
}

/** Null when Garden's own signals must do and this is none of them. */
export function gardenSignal(signal: number): number | null {
  const at = GARDEN_SIGNALS.indexOf(signal)
  return at < 0 ? null : at
}

export const payloads = {
  started: (processId: string, streamId: string) => ({ process_id: processId, stream_id: streamId }),
  /** `signal` is a number: Garden's client knows the field as one. */
  exit: (processId: string, exit: ProcessExit, startedAtMs: number) => ({
    process_id: processId,
    ...exitToWire(exit),
    started_at: toMoment(startedAtMs),
  }),
  failed: (processId: string, error: unknown): { process_id: string; error: string; failure: ErrorBody } => {
    const { body } = errorToWire(error)
    return { process_id: processId, error: body.Message, failure: body }
  },
  dropped: (processId: string, stream: 'stdout' | 'stderr', bytes: number) => ({
    process_id: processId,
    dropped: { stream, bytes },
  }),
  refused: (processId: string, message: string) => ({ process_id: processId, refused: { message } }),
  stdin: (processId: string, data: Buffer, isBinary: boolean) => ({
    process_id: processId,
    source: STDIN,
    ...(isBinary ? { data_b64: data.toString('base64') } : { data: data.toString() }),
  }),
  stdinEnd: (processId: string) => ({ process_id: processId, source: STDIN }),
  resize: (processId: string, columns: number, rows: number) => ({
    process_id: processId,
    tty: { window_size: { columns, rows } },
  }),
  signal: (processId: string, signal: number) => ({ process_id: processId, signal }),
}

/** Takes a byte stream apart into lines of JSON. */
export class JsonLines {
  #parts: Buffer[] = []
  #size = 0

  constructor(private readonly maxBytes: number) {}

  /** The complete lines; one that is not JSON comes as an Error. @throws Error when one is too long */
  push(data: Buffer): unknown[] {
    this.#parts.push(data)
    this.#size += data.length
    if (this.#size > this.maxBytes) throw new Error(`a line is longer than ${this.maxBytes} bytes`)
    if (!data.includes(NEWLINE)) return []
    const all = this.#parts.length === 1 ? data : Buffer.concat(this.#parts)
    const end = all.lastIndexOf(NEWLINE) + 1
    const rest = all.subarray(end)
    this.#parts = rest.length === 0 ? [] : [rest]
    this.#size = rest.length
    return all
      .toString('utf8', 0, end)
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map(parseLine)
  }
}

const NEWLINE = 0x0a

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line) as unknown
  } catch (error) {
    return error
  }
}
