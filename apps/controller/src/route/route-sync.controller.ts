import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common'
import { routerStatusSchema } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import { z } from 'zod'
import { longPoll, watchQuerySchema } from '../db/long-poll.js'
import { readRevision } from '../db/revision.js'
import { EPOCH } from '../db/signals.module.js'
import { Signals } from '../db/signals.js'
import type { InternalServer } from '../http/internal-server.js'
import { parseInput } from '../http/parse-input.js'
import { CONTROL_SERVER, DATA_SOURCE } from '../tokens.js'
import { RouteReader } from './route-reader.js'
import { RouterService } from './router.service.js'

const routerId = z.string().regex(/^[A-Za-z0-9_.-]{1,100}$/)
const routesQuerySchema = watchQuerySchema.extend({ router: routerId })

/** The routers' API on the control socket. */
@Injectable()
export class RouteSyncController implements OnModuleInit, OnModuleDestroy {
  readonly #stop = new AbortController()

  constructor(
    @Inject(CONTROL_SERVER) private readonly server: InternalServer,
    @Inject(RouteReader) private readonly routes: RouteReader,
    @Inject(RouterService) private readonly routers: RouterService,
    @Inject(Signals) private readonly signals: Signals,
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(EPOCH) private readonly epoch: string,
  ) {}

  onModuleInit(): void {
    const { fastify } = this.server
    fastify.get('/v1/routes', async (request, reply) => {
      const query = parseInput(routesQuerySchema, request.query)
      await this.routers.acknowledge(query.router, query.epoch ?? null, query.after)
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const snapshot = await longPoll({
        signals: this.signals,
        revisionName: 'routes',
        revision: () => readRevision(this.dataSource.manager, 'routes'),
        read: () => this.routes.read(),
        epoch: this.epoch,
        query,
        signal: AbortSignal.any([gone.signal, this.#stop.signal]),
      })
      return snapshot === null ? reply.status(204).send() : snapshot
    })
    fastify.put<{ Params: { id: string } }>('/v1/routers/:id/status', async (request, reply) => {
      const id = parseInput(routerId, request.params.id)
      await this.routers.report(id, parseInput(routerStatusSchema, request.body))
      return reply.status(204).send()
    })
  }

  onModuleDestroy(): void {
    this.#stop.abort()
  }
}
