import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import {
  nodeReportSchema,
  type DesiredInstance,
  type DesiredStream,
  type InstanceStatus,
  type LogLine,
  type NodeJoin,
  type NodeReport,
} from '@croft/protocol'
import { WebSocketServer } from 'ws'

interface Answer {
  status: number
  json?: unknown
}

/** What a stream that was dialed back has brought. */
export interface ServedStream {
  lines: LogLine[]
  /** Close code; null while it is open. */
  code: number | null
}

/** The controller's end of the executor's link, on a unix socket; what it wants and what it heard are plain fields. */
export class FakeController {
  epoch = 'first'
  revision = 0
  nodeId: string = randomUUID()
  network = '10.255.0.0/20'
  /** How desired sets are answered wrongly, if at all. */
  fault: 'none' | 'incomplete' | 'error' | 'cut-off' = 'none'
  readonly joins: NodeJoin[] = []
  readonly reports: NodeReport[] = []
  /** The statuses of the last full report. */
  statuses: InstanceStatus[] = []
  readonly streams = new Map<string, ServedStream>()
  /** Ids of the streams that were dialed back, in order. */
  readonly dials: string[] = []
  #items: readonly DesiredInstance[] = []
  #streams: readonly DesiredStream[] = []
  #hash = ''
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()
  #wake = Promise.withResolvers<void>()

  constructor(readonly socketPath: string) {}

  async listen(): Promise<void> {
    await rm(this.socketPath, { force: true })
    const server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
    const streams = new WebSocketServer({ noServer: true })
    server.on('upgrade', (request, socket, head) => {
      streams.handleUpgrade(request, socket, head, (web) => {
        const served: ServedStream = { lines: [], code: null }
        const id = request.url?.split('/').at(-1) ?? ''
        this.dials.push(id)
        this.streams.set(id, served)
        web.on('message', (data) => served.lines.push(JSON.parse((data as Buffer).toString()) as LogLine))
        web.on('close', (code) => (served.code = code))
      })
    })
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    server.listen(this.socketPath)
    await once(server, 'listening')
    this.#server = server
  }

  /** Dies: every connection breaks, nobody answers any more. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(server, 'close')
  }

  /** Another desired set, one revision later. */
  want(items: readonly DesiredInstance[], streams: readonly DesiredStream[] = []): void {
    this.#items = items
    this.#streams = streams
    this.revision += 1
    this.#changed()
  }
  /** Another database: other revisions, and nobody knows the node. */
  forget(epoch: string, revision: number): void {
    this.epoch = epoch
    this.revision = revision
    this.nodeId = randomUUID()
    this.#changed()
  }
  /** Has lost what was reported. */
  loseReports(): void {
    this.statuses = []
    this.#hash = ''
  }
  status(id: string): InstanceStatus | undefined {
    return this.statuses.find((status) => status.id === id)
  }

  #changed(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, json } = await this.#route(request, await text(request))
    if (this.fault === 'cut-off' && json !== undefined) {
      response.writeHead(200, { 'content-length': '100000' })
      response.write(JSON.stringify(json).slice(0, 30), () => response.destroy())
      return
    }
    response.writeHead(status, json === undefined ? {} : { 'content-type': 'application/json' })
    response.end(json === undefined ? undefined : JSON.stringify(json))
  }

  async #route(request: IncomingMessage, body: string): Promise<Answer> {
    const url = new URL(request.url ?? '/', 'http://controller')
    if (url.pathname === '/v1/nodes') {
      this.joins.push(JSON.parse(body) as NodeJoin)
      return { status: 200, json: { nodeId: this.nodeId, network: this.network } }
    }
    const [, , , id, action] = url.pathname.split('/')
    if (id !== this.nodeId) return { status: 404, json: { code: 'node-unknown' } }
    return action === 'desired' ? await this.#desired(url.searchParams) : this.#report(body)
  }

  async #desired(query: URLSearchParams): Promise<Answer> {
    const isNew = (): boolean => query.get('epoch') !== this.epoch || Number(query.get('after')) !== this.revision
    if (!isNew()) await Promise.race([this.#wake.promise, new Promise((resolve) => setTimeout(resolve, 1_000).unref())])
    if (!isNew()) return { status: 204 }
    const { epoch, revision } = this
    if (this.fault === 'error') return { status: 500, json: { code: 'internal' } }
    const complete = this.fault !== 'incomplete'
    return { status: 200, json: { epoch, revision, complete, items: this.#items, streams: this.#streams } }
  }

  #report(body: string): Answer {
    const report = nodeReportSchema.parse(JSON.parse(body))
    this.reports.push(report)
    if (report.statuses !== undefined) {
      this.statuses = report.statuses
      this.#hash = report.statusHash
    } else if (report.statusHash !== this.#hash) return { status: 409, json: { code: 'send-full' } }
    return { status: 204 }
  }
}
