import { messageOf, type Logger } from '@croft/kit'
import type { DesiredStream, LogLine } from '@croft/protocol'
import { WebSocket } from 'ws'
import type { KeptLine, LogStore } from '../instance/log-store.js'

/** Bytes waiting in a socket at which a follower is too slow and is let go. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024
const OPEN_TIMEOUT_MS = 10_000

/** Serves the streams somebody waits for: dials back one websocket each. A lost stream changes no state. */
export class Streams {
  readonly #open = new Map<string, WebSocket>()
  /** Streams already served; a set that still names one does not make us dial twice. */
  readonly #served = new Set<string>()

  constructor(
    private readonly socketPath: string,
    private readonly logs: LogStore,
    private readonly logger: Logger,
  ) {}

  /** Dials for each stream that is new, and ends those nobody waits for any more. */
  apply(wanted: readonly DesiredStream[]): void {
    const ids = new Set(wanted.map(({ streamId }) => streamId as string))
    for (const [id, socket] of this.#open) if (!ids.has(id)) socket.close(1000)
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
    const socket = new WebSocket(`ws+unix://${this.socketPath}:/v1/streams/${stream.streamId}`, {
      handshakeTimeout: OPEN_TIMEOUT_MS,
    })
    this.#open.set(stream.streamId, socket)
    let unfollow = (): void => undefined
    socket.on('error', (error) =>
      this.logger.debug('stream-failed', { stream: stream.streamId, why: messageOf(error) }),
    )
    socket.on('close', () => {
      unfollow()
      this.#open.delete(stream.streamId)
    })
    socket.on('open', () => {
      this.#send(socket, stream, (stop) => (unfollow = stop)).catch((error: unknown) => {
        this.logger.warn('stream-broke', { stream: stream.streamId, why: messageOf(error) })
        socket.close(1011)
      })
    })
  }

  async #send(socket: WebSocket, stream: DesiredStream, onFollow: (stop: () => void) => void): Promise<void> {
    const matches = (line: KeptLine): boolean =>
      stream.filter === null || line.instance === stream.filter || line.instance.split('.')[0] === stream.filter
    const send = (line: KeptLine): void => {
      const { at, instance, stream: source, line: text }: LogLine = line
      socket.send(JSON.stringify({ at, instance, stream: source, line: text } satisfies LogLine))
      if (socket.bufferedAmount > MAX_BUFFERED_BYTES) socket.close(1013, 'too slow')
    }
    // what is appended while the kept lines are read comes after them
    const meanwhile: KeptLine[] = []
    let isCaughtUp = false
    if (stream.isFollowing) {
      onFollow(
        this.logs.follow(stream.appId, (line) => {
          if (!matches(line)) return
          if (isCaughtUp) send(line)
          else meanwhile.push(line)
        }),
      )
    }
    const kept = (await this.logs.read(stream.appId)).filter(matches)
    const seen = new Set(kept.map(identity))
    for (const line of stream.lines === 0 ? [] : kept.slice(-stream.lines)) send(line)
    for (const line of meanwhile) if (!seen.has(identity(line))) send(line)
    isCaughtUp = true
    if (!stream.isFollowing) socket.close(1000)
  }
}

const identity = (line: KeptLine): string => `${line.handle} ${line.stream} ${line.end ?? line.at} ${line.line}`
