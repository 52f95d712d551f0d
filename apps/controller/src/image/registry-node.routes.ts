import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import type { FastifyInstance } from 'fastify'
import type { InternalServer } from '../http/internal-server.js'
import { NODE_SERVER } from '../tokens.js'
import { BlobStore } from './blob-store.js'
import { distributionFailed } from './distribution-errors.js'
import { distributionRoutes, type RegistryAccess } from './distribution.routes.js'
import { ManifestStore } from './manifest-store.js'

/** Who may connect to the executors' socket may use every repository; `name` is the app's id. */
const TRUSTED: RegistryAccess = {
  repository: (_request, name) => Promise.resolve({ id: name, name, isTrusted: true }),
  source: (_request, name) => Promise.resolve({ id: name, name, isTrusted: true }),
}

/** The distribution endpoints executors use, on their own socket. */
@Injectable()
export class RegistryNodeRoutes implements OnModuleInit {
  constructor(
    @Inject(NODE_SERVER) private readonly server: InternalServer,
    @Inject(BlobStore) private readonly blobs: BlobStore,
    @Inject(ManifestStore) private readonly manifests: ManifestStore,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.server.fastify.register(async (fastify: FastifyInstance) => {
      fastify.removeAllContentTypeParsers()
      fastify.addContentTypeParser('*', (_request, _payload, done) => done(null))
      fastify.setErrorHandler((error, _request, reply) => distributionFailed(error, reply))
      fastify.get('/v2/', async (_request, reply) =>
        reply.header('docker-distribution-api-version', 'registry/2.0').send({}),
      )
      distributionRoutes(fastify, { blobs: this.blobs, manifests: this.manifests }, TRUSTED)
    })
  }
}
