import { compact, decodeOrRefuse, integer, object } from './fields.js'

/**
 * The messages of a process's WebSocket. Binary: the first byte names a channel, the rest is its data; a close message ends one
 * channel and leaves the others open. Text: JSON, the process spec that opens a run. Pure.
 */

/** The subprotocol a client may ask for by name. */
export const EXEC_PROTOCOL = 'croft.exec.v1'

export const CHANNELS = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const

/** What a client may send once its process runs. */
export type SocketInput =
  | { kind: 'stdin'; data: Buffer }
  | { kind: 'stdin-end' }
  | { kind: 'resize'; columns: number; rows: number }
  | { kind: 'signal'; signal: number }

const MAX_SIGNAL = 64
const MAX_CELLS = 65_535
const resizeFields = object({ columns: integer(1, MAX_CELLS), rows: integer(1, MAX_CELLS) })
const statusFields = object({ signal: integer(1, MAX_SIGNAL) })

/** One message. @throws InvalidSpecError */
export function decodeMessage(message: Buffer): SocketInput {
  const channel = message[0]
  const data = message.subarray(1)
  switch (channel) {
    case CHANNELS.stdin:
      return { kind: 'stdin', data }
    case CHANNELS.close:
      return decodeOrRefuse<SocketInput>(
        'close message',
        (value, problems) => {
          if (value === CHANNELS.stdin) return { kind: 'stdin-end' }
          problems.set('channel', 'must be 0: only standard input can be closed')
          return undefined
        },
        data[0],
      )
    case CHANNELS.resize:
      return decodeOrRefuse<SocketInput>(
        'resize message',
        (value, problems) => {
          const { columns, rows } = resizeFields(value, '', problems) ?? {}
          if (columns === undefined || rows === undefined) problems.set('size', 'needs columns and rows')
          return compact({ kind: 'resize', columns: columns ?? 0, rows: rows ?? 0 })
        },
        parse(data),
      )
    case CHANNELS.status:
      return decodeOrRefuse<SocketInput>(
        'status message',
        (value, problems) => {
          const { signal } = statusFields(value, '', problems) ?? {}
          if (signal === undefined) problems.set('signal', 'is missing')
          return { kind: 'signal', signal: signal ?? 0 }
        },
        parse(data),
      )
    default:
      return decodeOrRefuse<SocketInput>(
        'message',
        (_value, problems) => {
          problems.set('channel', `must be 0 (stdin), 3 (status), 4 (resize) or 255 (close)`)
          return undefined
        },
        channel,
      )
  }
}

/** A message of a channel. */
export function encodeMessage(channel: keyof typeof CHANNELS, data: Buffer | object): Buffer {
  const bytes = Buffer.isBuffer(data) ? data : Buffer.from(JSON.stringify(data))
  return Buffer.concat([Buffer.of(CHANNELS[channel]), bytes])
}

function parse(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString()) as unknown
  } catch {
    return null // refused as no object
  }
}
