import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common'
import type { NodeId } from '@croft/kit'
import { nodeJoinSchema, nodeReportSchema } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import { longPoll, watchQuerySchema } from '../db/long-poll.js'
import { readRevision } from '../db/revision.js'
import { EPOCH } from '../db/signals.module.js'
import { Signals } from '../db/signals.js'
import { parseInput } from '../http/parse-input.js'
import type { InternalServer } from '../http/internal-server.js'
import { LogStreams } from '../log/log-streams.js'
import { DATA_SOURCE, NODE_SERVER } from '../tokens.js'
import { DesiredSet } from './desired-set.js'
import { NodeUnknown } from './errors.js'
import { NodeService } from './node.service.js'

const STREAM_PATH = /^\/v1\/streams\/([0-9a-f-]{36})$/

/** The executors' API on the node socket: join, the desired set, reports, and the websockets they dial back. */
@Injectable()
export class NodeSyncController implements OnModuleInit, OnModuleDestroy {
  readonly #stop = new AbortController()

  constructor(
    @Inject(NODE_SERVER) private readonly server: InternalServer,
    @Inject(NodeService) private readonly nodes: NodeService,
    @Inject(DesiredSet) private readonly desired: DesiredSet,
    @Inject(LogStreams) private readonly streams: LogStreams,
    @Inject(Signals) private readonly signals: Signals,
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(EPOCH) private readonly epoch: string,
  ) {}

  onModuleInit(): void {
    const { fastify } = this.server
    fastify.post('/v1/nodes', async (request) => this.nodes.join(parseInput(nodeJoinSchema, request.body)))
    fastify.get<{ Params: { id: string } }>('/v1/nodes/:id/desired', async (request, reply) => {
      const query = parseInput(watchQuerySchema, request.query)
      const { id } = request.params
      if (!(await this.nodes.exists(id))) throw new NodeUnknown('nobody knows it here')
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const name = `node:${id}` as const
      const snapshot = await longPoll({
        signals: this.signals,
        revisionName: name,
        revision: () => readRevision(this.dataSource.manager, name),
        read: () => this.desired.read(id as NodeId),
        epoch: this.epoch,
        query,
        signal: AbortSignal.any([gone.signal, this.#stop.signal]),
      })
      return snapshot === null ? reply.status(204).send() : snapshot
    })
    fastify.put<{ Params: { id: string } }>('/v1/nodes/:id/status', async (request, reply) => {
      await this.nodes.report(request.params.id, parseInput(nodeReportSchema, request.body))
      return reply.status(204).send()
    })
    fastify.addHook('preClose', async () => this.streams.endAll()) // a server waits for sockets that were upgraded
    fastify.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  onModuleDestroy(): void {
    this.#stop.abort()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const id = STREAM_PATH.exec(request.url ?? '')?.[1]
    if (id !== undefined && this.streams.accept(id, request, socket, head)) return
    socket.on('error', () => undefined)
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  }
}
