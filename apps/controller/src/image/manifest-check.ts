import { isDigest, type Digest } from '@croft/kit'
import { z } from 'zod'
import { DistributionError } from './errors.js'

/** Media types of image manifests; each has `config` and `layers`. */
const IMAGE_TYPES: readonly string[] = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]
/** Media types of lists of manifests, one for each platform. */
const INDEX_TYPES: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
const MAX_LAYERS = 512
const MAX_MANIFESTS = 512

const descriptorSchema = z.looseObject({
  mediaType: z.string(),
  digest: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a sha256 digest'),
  size: z.int().nonnegative(),
})
const common = {
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().max(255).optional(),
  subject: descriptorSchema.nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
}
const imageSchema = z.looseObject({
  ...common,
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(MAX_LAYERS),
  manifests: z.never().optional(),
})
const indexSchema = z.looseObject({
  ...common,
  manifests: z.array(descriptorSchema).max(MAX_MANIFESTS),
  config: z.never().optional(),
  layers: z.never().optional(),
})

/** What a manifest refers to. */
export interface CheckedManifest {
  mediaType: string
  /** Of an image: its configuration and its layers. */
  blobs: Digest[]
  /** Of an index: the manifests it lists. */
  manifests: Digest[]
  /** The manifest this one is about. */
  subject: Digest | null
  /** What `referrers` tells of it. */
  artifactType: string | null
  annotations: Record<string, string> | null
}

/**
 * Reads a manifest: its own media type must be the header's, and it is an image or an index (no document that is the one to
 * one reader and the other to another). Pure.
 * @throws DistributionError MANIFEST_INVALID
 */
export function checkManifest(bytes: Buffer, header: string): CheckedManifest {
  const mediaType = header.split(';', 1)[0]?.trim() ?? ''
  const isIndex = INDEX_TYPES.includes(mediaType)
  if (!isIndex && !IMAGE_TYPES.includes(mediaType)) {
    throw invalid(`${mediaType.slice(0, 80) || 'no media type'} is not an image manifest`)
  }
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw invalid('it is not JSON')
  }
  const parsed = (isIndex ? indexSchema : imageSchema).safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}`)
  }
  const { data } = parsed
  if (data.mediaType !== undefined && data.mediaType !== mediaType) {
    throw invalid(`it says it is ${data.mediaType.slice(0, 80)}`)
  }
  const image = 'layers' in data && data.layers !== undefined ? data : null
  return {
    mediaType,
    blobs: image === null ? [] : [image.config, ...image.layers].map(({ digest }) => digest),
    manifests: image === null ? (data.manifests ?? []).map(({ digest }) => digest) : [],
    subject: data.subject?.digest ?? null,
    artifactType: data.artifactType ?? image?.config.mediaType ?? null,
    annotations: data.annotations ?? null,
  }
}

function invalid(why: string): DistributionError {
  return new DistributionError(400, 'MANIFEST_INVALID', `the manifest is not valid: ${why}`)
}
