import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '@croft/kit'
import { ImageError, type ResolvedImage } from '@croft/garden-api'
import { decompressor, digestOfStream, hexOf, ImageLayout, VerifyStream, type Descriptor } from '@croft/oci'
import type { TreeStore } from './tree-store.js'
import { convertWhiteouts, unpackTar } from './unpack.js'

/** Images that have to be read and unpacked before somebody can stand on them. */

/** The digest of a file, in hex digits. */
export async function hexDigestOf(path: string): Promise<string> {
  return hexOf(await digestOfStream(createReadStream(path)))
}

/** An image of an OCI layout, `/layout` or `/layout#name`, its layers unpacked once. @throws ImageError, OciError */
export async function imageOfLayout(reference: string, trees: TreeStore): Promise<ResolvedImage> {
  const [folder = '', name] = reference.split('#', 2)
  const layout = new ImageLayout(folder)
  const { manifest, config } = await layout.image(process.arch === 'arm64' ? 'arm64' : 'amd64', name)
  const lowerPaths: string[] = []
  let chain = ''
  for (const [index, descriptor] of manifest.layers.entries()) {
    const diffId = config.rootfs.diff_ids[index]
    if (diffId === undefined) throw new ImageError(`image ${reference.slice(0, 200)} has more layers than digests`)
    const lower = [...lowerPaths]
    chain = chainId(chain, diffId)
    const fill = async (dir: string): Promise<void> => await unpackLayer(layout, descriptor, diffId, dir, lower)
    lowerPaths.unshift(await trees.tree(chain, fill))
  }
  return { lowerPaths, env: config.config?.Env ?? [] }
}

/** A layer by all that lies below it: its whiteouts mean nothing alone. Pure. */
function chainId(below: string, diffId: Digest): string {
  return below === '' ? hexOf(diffId) : createHash('sha256').update(`${below} ${diffId}`).digest('hex')
}

/** Unpacks a layer verified on the way: the blob against its descriptor, the tar against its diff id. */
async function unpackLayer(
  layout: ImageLayout,
  descriptor: Descriptor,
  diffId: Digest,
  dir: string,
  lower: readonly string[],
): Promise<void> {
  const tar = new PassThrough()
  const results = await Promise.allSettled([
    pipeline(
      layout.open(descriptor),
      new VerifyStream({ digest: descriptor.digest, bytes: descriptor.size }),
      decompressor(descriptor.mediaType),
      new VerifyStream({ digest: diffId }),
      tar,
    ).catch((error: unknown) => {
      tar.end() // the unpacker sees a short archive and ends
      throw error
    }),
    unpackTar(tar, dir).catch((error: unknown) => {
      tar.destroy() // nobody reads it any more
      throw error
    }),
  ])
  for (const result of results) if (result.status === 'rejected') throw result.reason
  await convertWhiteouts(dir, lower)
}
