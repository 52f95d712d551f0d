import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { HttpAdapterHost } from '@nestjs/core'
import { CroftError, type Logger } from '@croft/kit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Unauthenticated } from '../auth/errors.js'
import { problemReply } from '../http/problem.filter.js'
import { LOGGER } from '../tokens.js'
import { BlobStore } from './blob-store.js'
import { distributionFailed } from './distribution-errors.js'
import { nextLink, pageOf } from './distribution-headers.js'
import { distributionRoutes } from './distribution.routes.js'
import { DistributionError } from './errors.js'
import { ManifestStore } from './manifest-store.js'
import { RegistryChallenge, TeamAccess } from './registry-access.js'

/** Each route asks `TeamAccess` itself: what container tools are to be told differs from the API's problems. */
const ROUTE = { config: { policy: 'signed-in' } }

/** The registry as container tools see it, at `/v2/` of the public HTTP: a repository for each app, by the app's name. */
@Injectable()
export class RegistryPublicRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(BlobStore) private readonly blobs: BlobStore,
    @Inject(ManifestStore) private readonly manifests: ManifestStore,
    @Inject(TeamAccess) private readonly access: TeamAccess,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.register(this.host.httpAdapter.getInstance<FastifyInstance>())
  }

  async register(server: FastifyInstance): Promise<void> {
    await server.register(async (fastify: FastifyInstance) => {
      fastify.removeAllContentTypeParsers()
      fastify.addContentTypeParser('*', (_request, _payload, done) => done(null))
      fastify.setErrorHandler((error, request, reply) => this.#failed(error, request, reply))
      fastify.addHook('onSend', async (_request, reply) => {
        reply.header('docker-distribution-api-version', 'registry/2.0')
      })
      fastify.get('/v2/', ROUTE, async (request, reply) => {
        await this.access.caller(request)
        return reply.send({})
      })
      fastify.get<{ Querystring: { scope?: string | string[] } }>('/v2/token', ROUTE, async (request, reply) => {
        const { token, expiresIn } = await this.access.issue(request, request.query.scope)
        return reply.header('cache-control', 'no-store').send({ token, access_token: token, expires_in: expiresIn })
      })
      fastify.get<{ Querystring: { n?: string; last?: string } }>('/v2/_catalog', ROUTE, async (request, reply) => {
        const { tags: repositories, next } = pageOf(await this.access.catalog(request), request.query)
        if (next !== undefined) reply.header('link', nextLink('/v2/_catalog', repositories.length, next))
        return reply.send({ repositories })
      })
      distributionRoutes(fastify, { blobs: this.blobs, manifests: this.manifests }, this.access, ROUTE)
      fastify.all('/v2/*', ROUTE, async (request) => {
        await this.access.caller(request)
        throw new DistributionError(404, 'NAME_INVALID', 'a repository has the name of an app, without a slash')
      })
    })
  }

  #failed(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
    if (!(error instanceof CroftError) || error.status >= 500) return problemReply(error, request, reply, this.logger)
    if (error instanceof RegistryChallenge) reply.header('www-authenticate', error.header)
    else if (error instanceof Unauthenticated) reply.header('www-authenticate', 'Basic realm="croft", charset="UTF-8"')
    return distributionFailed(error, reply)
  }
}
