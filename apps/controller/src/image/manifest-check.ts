import { isDigest, type Digest } from '@croft/kit'
import { z } from 'zod'
import { DistributionError } from './errors.js'

/** Media types of image manifests; each has `config` and `layers`. */
const IMAGE_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const
const MAX_LAYERS = 512

const descriptorSchema = z.looseObject({
  mediaType: z.string(),
  digest: z.string().refine(isDigest, 'not a sha256 digest'),
  size: z.int().nonnegative(),
})
const manifestSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(MAX_LAYERS),
  manifests: z.never().optional(),
})

/**
 * Reads an image manifest: its own media type must be the header's, and it is an image or nothing (no document that is an
 * image to one reader and an index to another). Pure.
 * @throws DistributionError MANIFEST_INVALID
 */
export function checkManifest(bytes: Buffer, header: string): { mediaType: string; blobs: Digest[] } {
  const mediaType = header.split(';', 1)[0]?.trim() ?? ''
  if (!IMAGE_TYPES.some((type) => type === mediaType)) {
    throw invalid(`${mediaType.slice(0, 80) || 'no media type'} is not an image manifest`)
  }
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw invalid('it is not JSON')
  }
  const parsed = manifestSchema.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}`)
  }
  if (parsed.data.mediaType !== undefined && parsed.data.mediaType !== mediaType) {
    throw invalid(`it says it is ${parsed.data.mediaType.slice(0, 80)}`)
  }
  const blobs = [parsed.data.config, ...parsed.data.layers].map((descriptor) => descriptor.digest)
  return { mediaType, blobs }
}

function invalid(why: string): DistributionError {
  return new DistributionError(400, 'MANIFEST_INVALID', `the manifest is not valid: ${why}`)
}
