import { z } from 'zod'
import { isDigest, type Digest } from '@croft/kit'
import { digestOf } from './digest.js'
import { OciError } from './errors.js'
import { mediaTypes } from './media-types.js'

const digestSchema = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a sha256 digest')

export const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: digestSchema,
  size: z.int().nonnegative(),
})
export type Descriptor = z.infer<typeof descriptorSchema>

/** An image manifest, of OCI or (the same with other media types) of Docker; `manifests` beside `layers` is refused (one document must not mean two things). */
export const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([mediaTypes.manifest, mediaTypes.dockerManifest]).optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema),
  manifests: z.never().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
})
export type Manifest = z.infer<typeof manifestSchema>

export const imageConfigSchema = z.object({
  created: z.string().optional(),
  architecture: z.string(),
  os: z.string(),
  config: z
    .object({
      User: z.string().optional(),
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().optional(),
      ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
      Volumes: z.record(z.string(), z.unknown()).nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
    })
    .optional(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(digestSchema) }),
  history: z.array(z.looseObject({})).optional(),
})
export type ImageConfig = z.infer<typeof imageConfigSchema>

/** An image as its two documents, which agree on the number of layers. */
export interface Image {
  manifest: Manifest
  config: ImageConfig
}

export interface EncodedDocument {
  bytes: Buffer
  descriptor: Descriptor
}

/** A document as it is stored, and what refers to it. */
export function encodeDocument(mediaType: string, document: unknown): EncodedDocument {
  const bytes = Buffer.from(JSON.stringify(document))
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } }
}

export function encodeConfig(config: ImageConfig): EncodedDocument {
  return encodeDocument(mediaTypes.config, config)
}

export function encodeManifest(config: Descriptor, layers: readonly Descriptor[]): EncodedDocument {
  return encodeDocument(mediaTypes.manifest, { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers })
}

/** @throws OciError when it is no image manifest of ours to read */
export function parseManifest(bytes: Uint8Array): Manifest {
  return parse(manifestSchema, bytes, 'image manifest')
}

/** @throws OciError when it is no image configuration */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  return parse(imageConfigSchema, bytes, 'image configuration')
}

/** @throws OciError when the two documents do not belong together */
export function imageOf(manifest: Manifest, config: ImageConfig): Image {
  if (manifest.layers.length !== config.rootfs.diff_ids.length) {
    throw new OciError('manifest and configuration name different numbers of layers')
  }
  return { manifest, config }
}

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw new OciError(`not an ${what}`, 'not JSON', error)
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) throw new OciError(`not an ${what}`, z.prettifyError(parsed.error))
  return parsed.data
}
