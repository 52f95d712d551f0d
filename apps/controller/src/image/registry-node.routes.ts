import type { Readable } from 'node:stream'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { isDigest, type Digest } from '@croft/kit'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { InternalServer } from '../http/internal-server.js'
import { NODE_SERVER } from '../tokens.js'
import { BlobStore } from './blob-store.js'
import { DistributionError } from './errors.js'
import { ManifestStore } from './manifest-store.js'

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

type Params<T extends string> = { Params: Record<T, string> }
type Upload = Params<'name' | 'upload'> & { Querystring: { digest?: string } }

/**
 * The distribution endpoints executors use, on their own socket: blobs (whole or a range), uploads in one piece or many, image
 * manifests by digest and tag. `name` is the app's id.
 */
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
      fastify.setErrorHandler((error: FastifyError, request, reply) => this.#failed(error, request, reply))
      fastify.get('/v2/', async (_request, reply) =>
        reply.header('docker-distribution-api-version', 'registry/2.0').send({}),
      )
      this.#blobRoutes(fastify)
      this.#uploadRoutes(fastify)
      this.#manifestRoutes(fastify)
    })
  }

  #blobRoutes(fastify: FastifyInstance): void {
    fastify.route<Params<'name' | 'digest'>>({
      method: ['GET', 'HEAD'],
      url: '/v2/:name/blobs/:digest',
      handler: async (request, reply) => {
        const digest = checkedDigest(request.params.digest)
        const size = await this.blobs.size(digest)
        if (size === undefined) throw new DistributionError(404, 'BLOB_UNKNOWN', `blob ${digest} is not here`)
        const range = rangeOf(request.headers.range, size)
        reply.header('docker-content-digest', digest).header('accept-ranges', 'bytes').type('application/octet-stream')
        if (range !== undefined) {
          reply.status(206).header('content-range', `bytes ${range.start}-${range.end}/${size}`)
        }
        reply.header('content-length', range === undefined ? size : range.end - range.start + 1)
        return request.method === 'HEAD' ? reply.send() : reply.send(this.blobs.read(digest, range))
      },
    })
  }

  #uploadRoutes(fastify: FastifyInstance): void {
    fastify.post<Params<'name'> & { Querystring: { digest?: string; mount?: string } }>(
      '/v2/:name/blobs/uploads/',
      async (request, reply) => {
        const { digest, mount } = request.query
        if (mount !== undefined && isDigest(mount) && (await this.blobs.size(mount)) !== undefined) {
          return created(reply, request.params.name, mount)
        }
        const id = await this.blobs.begin()
        if (digest === undefined) return uploading(reply, request.params.name, id, 0)
        await this.#finish(id, digest, request.raw)
        return created(reply, request.params.name, digest)
      },
    )
    fastify.get<Params<'name' | 'upload'>>('/v2/:name/blobs/uploads/:upload', async (request, reply) => {
      const { name, upload } = request.params
      return uploading(reply, name, upload, this.blobs.received(upload), 204)
    })
    fastify.patch<Params<'name' | 'upload'>>('/v2/:name/blobs/uploads/:upload', async (request, reply) => {
      const { name, upload } = request.params
      const bytes = await this.blobs.append(upload, request.raw, startOf(request.headers['content-range']))
      return uploading(reply, name, upload, bytes)
    })
    fastify.put<Upload>('/v2/:name/blobs/uploads/:upload', async (request, reply) => {
      const { name, upload } = request.params
      await this.#finish(upload, request.query.digest ?? '', request.raw)
      return created(reply, name, request.query.digest ?? '')
    })
    fastify.delete<Params<'name' | 'upload'>>('/v2/:name/blobs/uploads/:upload', async (request, reply) => {
      this.blobs.received(request.params.upload)
      await this.blobs.cancel(request.params.upload)
      return reply.status(204).send()
    })
  }

  #manifestRoutes(fastify: FastifyInstance): void {
    fastify.route<Params<'name' | 'reference'>>({
      method: ['GET', 'HEAD'],
      url: '/v2/:name/manifests/:reference',
      handler: async (request, reply) => {
        const manifest = await this.manifests.find(request.params.name, request.params.reference)
        if (manifest === undefined) throw new DistributionError(404, 'MANIFEST_UNKNOWN', 'there is no such manifest')
        reply.header('docker-content-digest', manifest.digest).header('content-length', manifest.bytes.length)
        reply.type(manifest.mediaType)
        return request.method === 'HEAD' ? reply.send() : reply.send(manifest.bytes)
      },
    })
    fastify.put<Params<'name' | 'reference'>>('/v2/:name/manifests/:reference', async (request, reply) => {
      const { name, reference } = request.params
      const bytes = await readAll(request.raw)
      const digest = await this.manifests.put(name, reference, request.headers['content-type'] ?? '', bytes)
      return reply
        .status(201)
        .header('location', `/v2/${name}/manifests/${digest}`)
        .header('docker-content-digest', digest)
        .send()
    })
  }

  async #finish(id: string, digest: string, body: Readable): Promise<void> {
    const wanted = checkedDigest(digest)
    await this.blobs.append(id, body)
    await this.blobs.finish(id, wanted)
  }

  /** Container tools read `errors`, not problem documents. */
  #failed(error: FastifyError | Error, _request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (!(error instanceof DistributionError)) throw error
    return reply
      .status(error.status)
      .type('application/json')
      .send(JSON.stringify({ errors: [{ code: error.distributionCode, message: error.title }] }))
  }
}

function checkedDigest(digest: string): Digest {
  if (isDigest(digest)) return digest
  throw new DistributionError(400, 'DIGEST_INVALID', 'this is not a sha256 digest')
}

function created(reply: FastifyReply, name: string, digest: string): FastifyReply {
  return reply
    .status(201)
    .header('location', `/v2/${name}/blobs/${digest}`)
    .header('docker-content-digest', digest)
    .send()
}

function uploading(reply: FastifyReply, name: string, id: string, bytes: number, status = 202): FastifyReply {
  return reply
    .status(status)
    .header('location', `/v2/${name}/blobs/uploads/${id}`)
    .header('docker-upload-uuid', id)
    .header('range', `0-${Math.max(0, bytes - 1)}`)
    .send()
}

/** One range of a blob; anything else than one satisfiable range is answered with the whole. @throws DistributionError */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const [, from, to] = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header ?? '') ?? []
  if (from === undefined) return undefined
  const start = Number(from)
  const end = Math.min(to === undefined ? size - 1 : Number(to), size - 1)
  if (start >= size || end < start) throw new DistributionError(416, 'RANGE_INVALID', `the blob has ${size} bytes`)
  return { start, end }
}

/** Where a piece of an upload starts: `<start>-<end>`. */
function startOf(header: string | undefined): number | undefined {
  const start = /^(?:bytes[ =])?(\d{1,15})-\d{1,15}(?:\/.*)?$/.exec(header ?? '')?.[1]
  return start === undefined ? undefined : Number(start)
}

async function readAll(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length
    if (bytes > MAX_MANIFEST_BYTES)
      throw new DistributionError(413, 'SIZE_INVALID', 'the manifest is larger than 4 MiB')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
