import type { Readable } from 'node:stream'
import { isDigest, type Digest } from '@croft/kit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { BlobStore } from './blob-store.js'
import { DistributionError } from './errors.js'
import { checkManifest } from './manifest-check.js'
import type { ManifestStore, StoredManifest } from './manifest-store.js'
import { nextLink, pageOf, rangeOf, startOf } from './distribution-headers.js'

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'

/** What somebody wants to do with a repository. */
export type RepositoryAction = 'pull' | 'push' | 'delete'

/** A repository somebody may use. */
export interface Repository {
  /** The app's id. */
  id: string
  /** As it stands in paths. */
  name: string
  /** Blobs need not be the repository's own: executors share layers between apps. */
  isTrusted: boolean
}

/** Who may use which repository, and which tags it has beside those that were pushed. */
export interface RegistryAccess {
  /** @throws DistributionError or a CroftError of the credentials */
  repository(request: FastifyRequest, name: string, action: RepositoryAction): Promise<Repository>
  /** The repository a blob is mounted from, or undefined when it may not be pulled from. */
  source(request: FastifyRequest, name: string): Promise<Repository | undefined>
  /** The digest a tag means, where that follows from releases. */
  releaseTag?(repository: Repository, tag: string): Promise<Digest | undefined>
  releaseTags?(repository: Repository): Promise<string[]>
  /** @throws DistributionError DENIED for a tag or manifest that is not for people to change */
  refuseChange?(repository: Repository, reference: string): Promise<void>
  /** A manifest was pushed to a tag. */
  pushed?(repository: Repository, tag: string, digest: Digest, request: FastifyRequest): Promise<void>
}

interface Stores {
  blobs: BlobStore
  manifests: ManifestStore
}
type Params<T extends string> = { Params: Record<T, string> }
type UploadQuery = { Querystring: { digest?: string; mount?: string; from?: string } }

/**
 * The endpoints of OCI Distribution 1.1 on one server: blobs (whole or a range), uploads in one piece or many, mounts, manifests by
 * digest and tag, tags, referrers, deletes. Who may do what is `access`'s matter; `options` are what every route declares.
 */
export function distributionRoutes(
  fastify: FastifyInstance,
  stores: Stores,
  access: RegistryAccess,
  options: { config?: object } = {},
): void {
  blobRoutes(fastify, stores, access, options)
  uploadRoutes(fastify, stores, access, options)
  manifestRoutes(fastify, stores, access, options)
  listRoutes(fastify, stores, access, options)
}

function blobRoutes(
  fastify: FastifyInstance,
  { blobs, manifests }: Stores,
  access: RegistryAccess,
  options: object,
): void {
  const sizeOf = async (repository: Repository, digest: Digest): Promise<number> => {
    const isOwn = repository.isTrusted || (await manifests.mayRead(repository.id, digest))
    const size = isOwn ? await blobs.size(digest) : undefined
    if (size === undefined) throw new DistributionError(404, 'BLOB_UNKNOWN', `blob ${digest} is not here`)
    return size
  }
  fastify.route<Params<'name' | 'digest'>>({
    ...options,
    method: ['GET', 'HEAD'],
    url: '/v2/:name/blobs/:digest',
    handler: async (request, reply) => {
      const repository = await access.repository(request, request.params.name, 'pull')
      const digest = checkedDigest(request.params.digest)
      const size = await sizeOf(repository, digest)
      const range = rangeOf(request.headers.range, size)
      reply.header('docker-content-digest', digest).header('accept-ranges', 'bytes').type('application/octet-stream')
      if (range !== undefined) {
        reply.status(206).header('content-range', `bytes ${range.start}-${range.end}/${size}`)
      }
      reply.header('content-length', range === undefined ? size : range.end - range.start + 1)
      return request.method === 'HEAD' ? reply.send() : reply.send(blobs.read(digest, range))
    },
  })
  fastify.delete<Params<'name' | 'digest'>>('/v2/:name/blobs/:digest', options, async (request, reply) => {
    const repository = await access.repository(request, request.params.name, 'delete')
    const digest = checkedDigest(request.params.digest)
    await sizeOf(repository, digest)
    for (const { digest: of } of await manifests.list(repository.id)) {
      const manifest = await manifests.find(repository.id, of)
      if (manifest !== undefined && checkManifest(manifest.bytes, manifest.mediaType).blobs.includes(digest)) {
        throw new DistributionError(403, 'DENIED', `manifest ${of} needs this blob`)
      }
    }
    await manifests.unlink(repository.id, digest)
    return reply.status(202).send()
  })
}

function uploadRoutes(
  fastify: FastifyInstance,
  { blobs, manifests }: Stores,
  access: RegistryAccess,
  options: object,
): void {
  const finish = async (
    repository: Repository,
    id: string,
    digest: string,
    request: FastifyRequest,
  ): Promise<Digest> => {
    const wanted = checkedDigest(digest)
    await blobs.append(id, request.raw as Readable, startOf(request.headers['content-range']))
    await blobs.finish(id, wanted)
    await manifests.link(repository.id, wanted)
    return wanted
  }
  const path = '/v2/:name/blobs/uploads/:upload'

  fastify.post<Params<'name'> & UploadQuery>('/v2/:name/blobs/uploads/', options, async (request, reply) => {
    const repository = await access.repository(request, request.params.name, 'push')
    const { digest, mount, from } = request.query
    if (mount !== undefined && isDigest(mount) && from !== undefined) {
      const source = await access.source(request, from)
      const isThere =
        source !== undefined &&
        (source.isTrusted || (await manifests.mayRead(source.id, mount))) &&
        (await blobs.size(mount)) !== undefined
      if (isThere) {
        await manifests.link(repository.id, mount)
        return created(reply, repository.name, mount)
      }
    }
    const id = await blobs.begin(repository.id)
    if (digest === undefined) return uploading(reply, repository.name, id, 0)
    return created(reply, repository.name, await finish(repository, id, digest, request))
  })
  fastify.get<Params<'name' | 'upload'>>(path, options, async (request, reply) => {
    const repository = await access.repository(request, request.params.name, 'push')
    const { upload } = request.params
    return uploading(reply, repository.name, upload, blobs.received(upload, repository.id), 204)
  })
  fastify.patch<Params<'name' | 'upload'>>(path, options, async (request, reply) => {
    const repository = await access.repository(request, request.params.name, 'push')
    const { upload } = request.params
    blobs.received(upload, repository.id)
    const bytes = await blobs.append(upload, request.raw, startOf(request.headers['content-range']))
    return uploading(reply, repository.name, upload, bytes)
  })
  fastify.put<Params<'name' | 'upload'> & UploadQuery>(path, options, async (request, reply) => {
    const repository = await access.repository(request, request.params.name, 'push')
    const { upload } = request.params
    blobs.received(upload, repository.id)
    return created(reply, repository.name, await finish(repository, upload, request.query.digest ?? '', request))
  })
  fastify.delete<Params<'name' | 'upload'>>(path, options, async (request, reply) => {
    const repository = await access.repository(request, request.params.name, 'push')
    blobs.received(request.params.upload, repository.id)
    await blobs.cancel(request.params.upload)
    return reply.status(204).send()
  })
}

function manifestRoutes(
  fastify: FastifyInstance,
  { manifests }: Stores,
  access: RegistryAccess,
  options: object,
): void {
  const find = async (repository: Repository, reference: string): Promise<StoredManifest> => {
    const released = isDigest(reference) ? undefined : await access.releaseTag?.(repository, reference)
    const manifest = await manifests.find(repository.id, released ?? reference)
    if (manifest === undefined) throw new DistributionError(404, 'MANIFEST_UNKNOWN', 'there is no such manifest')
    return manifest
  }
  const url = '/v2/:name/manifests/:reference'
  fastify.route<Params<'name' | 'reference'>>({
    ...options,
    method: ['GET', 'HEAD'],
    url,
    handler: async (request, reply) => {
      const repository = await access.repository(request, request.params.name, 'pull')
      const manifest = await find(repository, request.params.reference)
      reply.header('docker-content-digest', manifest.digest).header('content-length', manifest.bytes.length)
      reply.type(manifest.mediaType)
      return request.method === 'HEAD' ? reply.send() : reply.send(manifest.bytes)
    },
  })
  fastify.put<Params<'name' | 'reference'>>(url, options, async (request, reply) => {
    const { reference } = request.params
    const repository = await access.repository(request, request.params.name, 'push')
    if (!isDigest(reference)) await access.refuseChange?.(repository, reference)
    const content = { mediaType: request.headers['content-type'] ?? '', bytes: await readAll(request.raw) }
    const { digest, manifest } = await manifests.put(repository.id, reference, content, repository.isTrusted)
    if (!isDigest(reference)) await access.pushed?.(repository, reference, digest, request)
    if (manifest.subject !== null) reply.header('oci-subject', manifest.subject)
    return reply
      .status(201)
      .header('location', `/v2/${repository.name}/manifests/${digest}`)
      .header('docker-content-digest', digest)
      .send()
  })
  fastify.delete<Params<'name' | 'reference'>>(url, options, async (request, reply) => {
    const { reference } = request.params
    const repository = await access.repository(request, request.params.name, 'delete')
    await access.refuseChange?.(repository, reference)
    const isGone = isDigest(reference)
      ? await manifests.remove(repository.id, reference)
      : await manifests.untag(repository.id, reference)
    if (!isGone) throw new DistributionError(404, 'MANIFEST_UNKNOWN', 'there is no such manifest')
    return reply.status(202).send()
  })
}

function listRoutes(fastify: FastifyInstance, { manifests }: Stores, access: RegistryAccess, options: object): void {
  fastify.get<Params<'name'> & { Querystring: { n?: string; last?: string } }>(
    '/v2/:name/tags/list',
    options,
    async (request, reply) => {
      const repository = await access.repository(request, request.params.name, 'pull')
      const all = [...(await manifests.tags(repository.id)), ...((await access.releaseTags?.(repository)) ?? [])]
      const { tags, next } = pageOf([...new Set(all)], request.query)
      if (next !== undefined) {
        reply.header('link', nextLink(`/v2/${repository.name}/tags/list`, tags.length, next))
      }
      return reply.send({ name: repository.name, tags })
    },
  )
  fastify.get<Params<'name' | 'digest'> & { Querystring: { artifactType?: string } }>(
    '/v2/:name/referrers/:digest',
    options,
    async (request, reply) => {
      const repository = await access.repository(request, request.params.name, 'pull')
      const found = await manifests.referrers(repository.id, checkedDigest(request.params.digest))
      const { artifactType } = request.query
      const descriptors = found
        .map(describe)
        .filter((one) => artifactType === undefined || one.artifactType === artifactType)
      if (artifactType !== undefined) reply.header('oci-filters-applied', 'artifactType')
      return reply
        .type(INDEX_TYPE)
        .send(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: descriptors })))
    },
  )
}

/** A manifest as `referrers` lists it. */
function describe({ digest, mediaType, bytes }: StoredManifest): { artifactType?: string } & Record<string, unknown> {
  const { artifactType, annotations } = checkManifest(bytes, mediaType)
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType !== null && { artifactType }),
    ...(annotations !== null && { annotations }),
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
