import type { NestFastifyApplication } from '@nestjs/platform-fastify'
import type { Logger } from '@croft/kit'
import type { FastifyServerOptions } from 'fastify'
import { StandardSchemaValidationPipe } from '@nestjs/common'
import type { ServedRoute } from '../auth/policy-check.js'
import { BadInput } from './bad-input.js'
import { ProblemFilter, problemReply } from './problem.filter.js'
import { requestIdOf } from './request-id.js'

/** Largest JSON body of the API. Git, images and other streams are read raw and have limits of their own. */
const JSON_BODY_LIMIT_BYTES = 1024 * 1024

/** Options of the server behind the router: pushes and uploads may take long, and are timed where they are read. */
export function publicFastify(logger: Logger): FastifyServerOptions {
  return {
    forceCloseConnections: true,
    bodyLimit: JSON_BODY_LIMIT_BYTES,
    requestTimeout: 0,
    connectionTimeout: 0,
    keepAliveTimeout: 75_000,
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: (error, request, reply) => void problemReply(error, request, reply, logger),
    genReqId: (request) => requestIdOf(request.headers['x-request-id']),
  }
}

/** Writes down every route the server is given from now on. */
export function recordRoutes(app: NestFastifyApplication): readonly ServedRoute[] {
  const served: ServedRoute[] = []
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRoute', ({ method, url, config }) => {
      const policy = config !== undefined && 'policy' in config ? config.policy : undefined
      served.push({ method: String(method), url, policy })
    })
  return served
}

/** Bodies, ids, validation and problems of the public HTTP; before the application is initialised. */
export function preparePublicHttp(app: NestFastifyApplication, logger: Logger): void {
  const fastify = app.getHttpAdapter().getInstance()
  fastify.removeContentTypeParser('text/plain')
  // Anything but JSON stays in the raw request: packs, blobs, manifests.
  fastify.addContentTypeParser('*', (_request: unknown, _payload: unknown, done: (error: null) => void) => done(null))
  fastify.addHook('onRequest', async (request, reply) => {
    reply.header('X-Request-Id', request.id)
    reply.header('X-Content-Type-Options', 'nosniff')
  })
  app.useGlobalPipes(new StandardSchemaValidationPipe({ exceptionFactory: (issues) => new BadInput(issues) }))
  app.useGlobalFilters(new ProblemFilter(logger))
}
