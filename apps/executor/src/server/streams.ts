import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf, type Logger } from '@croft/kit'
import type { DesiredStream, LogLine } from '@croft/protocol'
import { WebSocket } from 'ws'
import type { KeptLine, LogStore } from '../instance/log-store.js'

/** Bytes waiting in a socket at which kept lines wait, and a follower that is further behind than that is let go. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024
const OPEN_TIMEOUT_MS = 10_000
/** Kept lines that are sent without a look at how far behind the reader is. */
const LINES_PER_LOOK = 200
const DRAIN_LOOK_MS = 20

const NORMAL = 1000
const BROKEN = 1011
const TOO_SLOW = 1013

export interface StreamsOptions {
  /** The controller's node socket. */
  socketPath: string
  logs: LogStore
  /** Takes over what the instances of an app have said so far. */
  flush: (appId: string) => Promise<void>
  logger: Logger
}

/** Serves the streams somebody waits for: dials back one websocket each. A lost stream changes no state. */
export class Streams {
  readonly #options: StreamsOptions
  readonly #open = new Map<string, WebSocket>()
  /** Streams already served; a set that still names one does not make us dial twice. */
  readonly #served = new Set<string>()

  constructor(options: StreamsOptions) {
    this.#options = options
  }

  /** Dials for each stream that is new, and ends those nobody waits for any more. */
  apply(wanted: readonly DesiredStream[]): void {
    const ids = new Set<string>(wanted.map(({ streamId }) => streamId))
    for (const [id, socket] of this.#open) if (!ids.has(id)) socket.close(NORMAL)
    for (const id of this.#served) if (!ids.has(id)) this.#served.delete(id)
    for (const stream of wanted) {
      if (this.#served.has(stream.streamId)) continue
      this.#served.add(stream.streamId)
      this.#serve(stream)
    }
  }

  close(): void {
    for (const socket of this.#open.values()) socket.terminate()
  }

  #serve(stream: DesiredStream): void {
    const { socketPath, logger } = this.#options
    const socket = new WebSocket(`ws+unix://${socketPath}:/v1/streams/${stream.streamId}`, {
      handshakeTimeout: OPEN_TIMEOUT_MS,
    })
    const over = new AbortController()
    this.#open.set(stream.streamId, socket)
    socket.on('error', (error) => logger.debug('stream-failed', { stream: stream.streamId, why: messageOf(error) }))
    socket.on('close', () => {
      over.abort()
      this.#open.delete(stream.streamId)
    })
    socket.on('open', () => {
      this.#send(socket, stream, over.signal).catch((error: unknown) => {
        if (over.signal.aborted) return
        logger.warn('stream-broke', { stream: stream.streamId, why: messageOf(error) })
        socket.close(BROKEN)
      })
    })
  }

  async #send(socket: WebSocket, stream: DesiredStream, signal: AbortSignal): Promise<void> {
    const { logs, flush } = this.#options
    const matches = (line: KeptLine): boolean =>
      stream.filter === null || line.instance === stream.filter || line.instance.split('.')[0] === stream.filter
    // what is appended while the kept lines are read and sent comes after them
    const meanwhile: KeptLine[] = []
    let onLine = (line: KeptLine): void => void meanwhile.push(line)
    await flush(stream.appId)
    const kept = await logs.tail(stream.appId, stream.isFollowing ? (line) => onLine(line) : null, signal)
    const newest = stream.lines === 0 ? [] : kept.filter(matches).slice(-stream.lines)
    await sendAll(socket, newest, signal)
    if (!stream.isFollowing) return socket.close(NORMAL)
    while (meanwhile.length > 0) await sendAll(socket, meanwhile.splice(0).filter(matches), signal)
    onLine = (line) => {
      if (!matches(line) || socket.readyState !== WebSocket.OPEN) return
      socket.send(textOf(line))
      if (socket.bufferedAmount > MAX_BUFFERED_BYTES) socket.close(TOO_SLOW, 'too slow')
    }
    if (!signal.aborted) await once(signal, 'abort')
  }
}

/** Sends lines as fast as they are read on the other side. */
async function sendAll(socket: WebSocket, lines: readonly KeptLine[], signal: AbortSignal): Promise<void> {
  for (const [index, line] of lines.entries()) {
    socket.send(textOf(line))
    if (index % LINES_PER_LOOK !== 0) continue
    while (socket.bufferedAmount > MAX_BUFFERED_BYTES / 2) await delay(DRAIN_LOOK_MS, undefined, { signal })
  }
}

function textOf({ at, instance, stream, line }: KeptLine): string {
  return JSON.stringify({ at, instance, stream, line } satisfies LogLine)
}
