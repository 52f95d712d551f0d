import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common'
import type { AppId, Logger, NodeId } from '@croft/kit'
import { logLineSchema, type DesiredStream, type LogLine } from '@croft/protocol'
import { WebSocketServer, type WebSocket } from 'ws'
import type { DataSource } from 'typeorm'
import { bumpRevision } from '../db/revision.js'
import { DATA_SOURCE, LOGGER } from '../tokens.js'

/** A node has this long to dial back. */
const DIAL_BACK_MS = 5_000
/** An executor that stops answering pings is gone. */
const PING_MS = 15_000
const MAX_MESSAGE_BYTES = 1024 * 1024
/** Lines that wait for a slow reader before the node is told to wait. */
const HIGH_WATER_LINES = 2_000

export interface LogRequest {
  appId: AppId
  /** Instance name (`web.1`) or process type (`web`); null = all. */
  filter: string | null
  lines: number
  isFollowing: boolean
}

/** The lines of one node for one request. */
export interface NodeLog extends AsyncIterable<LogLine> {
  /** Whether the node has dialed back; resolves false when it did not in time. */
  readonly opened: Promise<boolean>
  close(): Promise<void>
}

/**
 * Streams somebody waits for. They live as long as their request, in this process: one is put into the desired set of a node, the
 * executor dials back one websocket for it, and its end at either side ends it. No state of the platform depends on them.
 */
@Injectable()
export class LogStreams implements OnModuleDestroy {
  readonly #streams = new Map<string, Stream>()
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, clientTracking: false })

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onModuleDestroy(): void {
    this.endAll()
    this.#server.close()
  }

  /** Ends every stream and its connection at once. */
  endAll(): void {
    for (const stream of this.#streams.values()) stream.terminate()
  }

  /** The streams in the desired set of a node, until they end: an executor closes what is not in its set. */
  forNode(nodeId: NodeId): DesiredStream[] {
    return [...this.#streams.values()].filter((stream) => stream.nodeId === nodeId).map(({ desired }) => desired)
  }

  /** Asks a node for the log of an app. */
  async open(nodeId: NodeId, request: LogRequest): Promise<NodeLog> {
    const streamId = randomUUID()
    const stream = new Stream(nodeId, { streamId, kind: 'logs', ...request }, async () => {
      if (!this.#streams.delete(streamId)) return
      await bumpRevision(this.dataSource.manager, `node:${nodeId}`)
    })
    this.#streams.set(streamId, stream)
    await bumpRevision(this.dataSource.manager, `node:${nodeId}`)
    return stream
  }

  /** Takes over a websocket upgrade for a stream somebody waits for; false when nobody does. */
  accept(streamId: string, request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const stream = this.#streams.get(streamId)
    if (stream === undefined || stream.hasSocket) return false
    this.#server.handleUpgrade(request, socket, head, (webSocket) => stream.attach(webSocket, this.logger))
    return true
  }
}

class Stream implements NodeLog {
  readonly opened: Promise<boolean>
  readonly #lines: LogLine[] = []
  #socket: WebSocket | undefined
  #isEnded = false
  #wake: () => void = () => undefined
  #settleOpened: (isOpen: boolean) => void = () => undefined
  #ping: NodeJS.Timeout | undefined
  readonly #dialTimer: NodeJS.Timeout

  constructor(
    readonly nodeId: NodeId,
    readonly desired: DesiredStream,
    private readonly forget: () => Promise<void>,
  ) {
    this.opened = new Promise((resolve) => (this.#settleOpened = resolve))
    this.#dialTimer = setTimeout(() => this.end(), DIAL_BACK_MS)
  }

  get hasSocket(): boolean {
    return this.#socket !== undefined
  }

  attach(socket: WebSocket, logger: Logger): void {
    clearTimeout(this.#dialTimer)
    this.#socket = socket
    let isAlive = true
    this.#ping = setInterval(() => {
      if (!isAlive) return socket.terminate()
      isAlive = false
      socket.ping()
    }, PING_MS)
    socket.on('pong', () => (isAlive = true))
    socket.on('message', (data) => {
      const parsed = logLineSchema.safeParse(parseJson(Buffer.isBuffer(data) ? data.toString('utf8') : ''))
      if (!parsed.success) return logger.warn('log-line-refused', { node: this.nodeId, why: parsed.error.message })
      this.#lines.push(parsed.data)
      if (this.#lines.length >= HIGH_WATER_LINES) socket.pause()
      this.#wake()
    })
    socket.on('error', (error) => logger.debug('log-stream-failed', { node: this.nodeId, why: error.message }))
    socket.on('close', () => this.end())
    this.#settleOpened(true)
  }

  end(): void {
    this.#isEnded = true
    clearTimeout(this.#dialTimer)
    clearInterval(this.#ping)
    this.#settleOpened(false)
    this.#wake()
  }

  terminate(): void {
    this.end()
    this.#socket?.terminate()
  }

  async close(): Promise<void> {
    this.end()
    this.#socket?.close(1000)
    const socket = this.#socket
    if (socket !== undefined) setTimeout(() => socket.terminate(), 1_000).unref()
    await this.forget()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<LogLine> {
    for (;;) {
      const lines = this.#lines.splice(0)
      if (lines.length > 0) {
        this.#socket?.resume()
        yield* lines
        continue
      }
      if (this.#isEnded) return
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
