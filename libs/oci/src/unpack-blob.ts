import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '@croft/kit'
import { VerifyStream } from './digest.js'
import type { Descriptor } from './manifest.js'
import { decompressor, unpackLayer, unpackLimitsOf, type LayerMarks, type UnpackLimits } from './unpack-layer.js'

/**
 * Unpacks a layer from its blob into the empty directory `root`, verified on the way: the blob against its descriptor, the tar
 * against its diffID, its size against the blob's. What is in `root` counts only when this returned; otherwise remove it.
 * @throws OciError, and whatever `blob` fails with
 */
export async function unpackBlob(
  blob: Readable,
  expected: { descriptor: Descriptor; diffId: Digest },
  root: string,
  options: { limits?: UnpackLimits; onMarks?: (marks: LayerMarks) => Promise<void> } = {},
): Promise<void> {
  const { descriptor, diffId } = expected
  const verified = new VerifyStream({ digest: diffId })
  const stages = [
    new VerifyStream({ digest: descriptor.digest, bytes: descriptor.size }),
    decompressor(descriptor.mediaType),
  ]
  const fed = pipeline([blob, ...stages, verified])
  const limits = options.limits ?? unpackLimitsOf(descriptor.size)
  const [unpacked, flowed] = await Promise.allSettled([unpackLayer(verified, root, limits, options.onMarks), fed])
  // what stopped the unpacking broke the flow too, and is the reason to tell; a flow that broke by itself ended the tar early
  const wasStopped = unpacked.status === 'rejected' && flowed.status === 'rejected' && isPremature(flowed.reason)
  if (flowed.status === 'rejected' && !wasStopped) throw flowed.reason
  if (unpacked.status === 'rejected') throw unpacked.reason
}

function isPremature(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
}
