import { pipeline } from 'node:stream/promises'
import { PassThrough } from 'node:stream'
import { z } from 'zod'
import { isDigest, messageOf, type Digest } from '@croft/kit'
import {
  compressLayer,
  decompressor,
  digestOf,
  encodeManifest,
  hexOf,
  imageOf,
  LimitStream,
  mediaTypes,
  OciError,
  parseImageConfig,
  parseManifest,
  unpackLimitsOf,
  type Descriptor,
  type Image,
  type RegistryClient,
} from '@croft/oci'
import type { BuildRecord } from '@croft/protocol'
import { openBeneath, readBeneath } from '../build/beneath.js'
import type { Images } from '../image/images.js'

/** Bringing the image that buildah left, an OCI layout that anybody in the build may have written, into the app's repository. */

const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
const MAX_NAME = 60

type Registry = Pick<RegistryClient, 'hasBlob' | 'putBlob' | 'putManifest'>

export interface LayoutImport {
  appId: string
  /** The folder the layout lies in, and its parts below. No link below `root` is followed. */
  root: string
  parts: readonly string[]
  /** Layers that are in the repository already, by diffID: they are empty in the layout. */
  known: ReadonlyMap<Digest, Descriptor>
  /** What layers below the Dockerfile's own are called, by diffID. */
  names: ReadonlyMap<Digest, string>
  previous: Image | null
  /** A file of the caller's own for layer number `index`. */
  spoolPath: (index: number) => string
  signal: AbortSignal
}

export interface ImportedLayout {
  image: Digest
  newLayers: number
  newBytes: number
  layers: BuildRecord['layers']
  /** By diffID, all layers of the image. */
  descriptors: Map<Digest, Descriptor>
}

const indexSchema = z.looseObject({
  manifests: z
    .array(z.looseObject({ digest: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)) }))
    .length(1),
})

/** @throws OciError, RegistryError */
export async function importLayout(
  input: LayoutImport,
  ports: { registry: Registry; images: Pick<Images, 'remember'> },
): Promise<ImportedLayout> {
  const { appId, known, names, signal } = input
  const { registry, images } = ports
  const { configBytes, config, manifest } = await readDocuments(input)
  const created = namesOfLayers(config.history ?? [])
  const descriptors = new Map<Digest, Descriptor>()
  const before = new Set(input.previous?.config.rootfs.diff_ids ?? [])
  const layers: BuildRecord['layers'] = []
  for (const [index, diffId] of config.rootfs.diff_ids.entries()) {
    const blob = manifest.layers[index] as Descriptor
    const descriptor =
      known.get(diffId) ?? descriptors.get(diffId) ?? (await importLayer(input, registry, { blob, diffId, index }))
    descriptors.set(diffId, descriptor)
    const isNew = !before.has(diffId) && !names.has(diffId)
    layers.push({
      name: names.get(diffId) ?? created[index] ?? 'layer',
      digest: descriptor.digest,
      bytes: descriptor.size,
      isNew,
    })
  }
  const configDescriptor = { mediaType: mediaTypes.config, digest: digestOf(configBytes), size: configBytes.length }
  const own = encodeManifest(
    configDescriptor,
    config.rootfs.diff_ids.map((diffId) => descriptors.get(diffId) as Descriptor),
  )
  await registry.putBlob(appId, configDescriptor, () => configBytes, signal)
  const [image] = await Promise.all([
    images.remember(own.bytes, configBytes),
    registry.putManifest(appId, own.descriptor.digest, own.bytes, signal),
  ])
  const added = layers.filter(({ isNew }) => isNew)
  return {
    image,
    layers,
    descriptors,
    newLayers: added.length,
    newBytes: added.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

async function readDocuments({ root, parts }: LayoutImport): Promise<Image & { configBytes: Buffer }> {
  const read = async (below: readonly string[]): Promise<Buffer> => {
    const text = await readBeneath(root, [...parts, ...below], MAX_DOCUMENT_BYTES).catch((error: unknown) => {
      throw error instanceof RangeError ? new OciError(error.message, undefined, error) : error
    })
    if (text === undefined) throw new OciError(`buildah left no ${below.at(-1)}`)
    return Buffer.from(text)
  }
  const document = async (digest: Digest): Promise<Buffer> => {
    const bytes = await read(['blobs', 'sha256', hexOf(digest)])
    if (digestOf(bytes) !== digest) throw new OciError('content does not match its digest', digest)
    return bytes
  }
  const index = indexSchema.safeParse(jsonOf(await read(['index.json'])))
  if (!index.success) throw new OciError('buildah left no image', z.prettifyError(index.error))
  const manifest = parseManifest(await document((index.data.manifests[0] as { digest: Digest }).digest))
  const configBytes = await document(manifest.config.digest)
  return { ...imageOf(manifest, parseImageConfig(configBytes)), configBytes }
}

/** What a text says in JSON; undefined for another text. */
function jsonOf(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString())
  } catch {
    return undefined
  }
}

/** Compresses a layer as this platform keeps them and uploads it, when it is what the image says. */
async function importLayer(
  { appId, root, parts, spoolPath, signal }: LayoutImport,
  registry: Registry,
  { blob, diffId, index }: { blob: Descriptor; diffId: Digest; index: number },
): Promise<Descriptor> {
  const inflate = decompressor(blob.mediaType)
  const file = await openBeneath(root, [...parts, 'blobs', 'sha256', hexOf(blob.digest)])
  if (file === undefined) throw new OciError(`buildah left no layer ${blob.digest}`)
  const tar = new PassThrough()
  const { size } = await file.stat()
  const limit = new LimitStream(unpackLimitsOf(size).bytes)
  const [layer] = await Promise.all([
    compressLayer(tar, spoolPath(index)),
    pipeline(file.createReadStream(), inflate, limit, tar),
  ]).catch((error: unknown) => {
    if (error instanceof OciError) throw error
    throw new OciError(`layer ${index + 1} of the image cannot be read: ${messageOf(error)}`, undefined, error)
  })
  if (layer.diffId !== diffId) throw new OciError('the image names another layer than it has', `layer ${index + 1}`)
  if (!(await registry.hasBlob(appId, layer.descriptor.digest, signal))) {
    await registry.putBlob(appId, layer.descriptor, () => layer.open(), signal)
  }
  return layer.descriptor
}

/** The instruction that made each layer, as the image's history tells. Pure. */
export function namesOfLayers(history: readonly Record<string, unknown>[]): string[] {
  return history
    .filter((entry) => entry['empty_layer'] !== true)
    .map((entry) => {
      const by = typeof entry['created_by'] === 'string' ? entry['created_by'] : ''
      const text = by
        .replace(/^(?:\|\d+ .*?)?\/bin\/sh -c (?:#\(nop\)\s*)?/, (all) => (all.includes('#(nop)') ? '' : 'RUN '))
        .replace(/\s+/g, ' ')
        .trim()
      return text.length > MAX_NAME ? `${text.slice(0, MAX_NAME - 3)}...` : text
    })
}
