import { chmod, rm } from 'node:fs/promises'
import { fastify, type FastifyInstance } from 'fastify'
import { toProblem, type Logger } from '@croft/kit'

/**
 * An HTTP server for machines on a unix socket; who may connect is decided by the folder the socket lies in. Modules add
 * their routes to `fastify` in `onModuleInit`; the server listens after all of them are up.
 */
export class InternalServer {
  readonly fastify: FastifyInstance

  constructor(
    readonly name: string,
    readonly socketPath: string,
    logger: Logger,
  ) {
    this.fastify = fastify({
      forceCloseConnections: true,
      bodyLimit: 64 * 1024 * 1024,
      routerOptions: { maxParamLength: 512 },
    })
    // Streams are read from the raw request: sources, logs, blobs.
    this.fastify.addContentTypeParser('*', (_request, _payload, done) => done(null))
    this.fastify.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error)
      if (problem.status >= 500)
        logger.error('internal-request-failed', { server: name, method: request.method, url: request.url, error })
      return reply.status(problem.status).type('application/problem+json').send(problem)
    })
  }

  async listen(): Promise<void> {
    await rm(this.socketPath, { force: true })
    await this.fastify.listen({ path: this.socketPath })
    await chmod(this.socketPath, 0o666) // the folder is what guards it
  }

  async close(): Promise<void> {
    await this.fastify.close()
  }
}
