import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { Inject, Injectable } from '@nestjs/common'
import { isDigest, type Digest } from '@croft/kit'
import {
  decompressor,
  DigestStream,
  hexOf,
  LimitStream,
  unpackLimitsOf,
  type Descriptor,
  type Image,
  OciError,
} from '@croft/oci'
import type { ControllerConfig } from '../config.js'
import { CONFIG } from '../tokens.js'
import { BlobStore } from './blob-store.js'

/**
 * What the layer blobs of images that Croft did not build unpack to: `<home>/registry/diffids/<hex of blob>`. Nodes keep layers by
 * that digest, so an image that names another one than its blob has would be given somebody else's layer.
 */
@Injectable()
export class LayerFacts {
  readonly #folder: string

  constructor(
    @Inject(CONFIG) config: ControllerConfig,
    @Inject(BlobStore) private readonly blobs: BlobStore,
  ) {
    this.#folder = `${config.home}/registry/diffids`
  }

  /** @throws OciError unless every layer of the image is what its configuration says, and no bomb */
  async check({ manifest, config }: Image): Promise<void> {
    for (const [index, layer] of manifest.layers.entries()) {
      const promised = config.rootfs.diff_ids[index]
      const actual = await this.#diffIdOf(layer)
      if (actual === promised) continue
      throw new OciError(
        'the image names another layer than it has',
        `layer ${index + 1} unpacks to ${actual}, not ${promised}`,
      )
    }
  }

  async #diffIdOf(layer: Descriptor): Promise<Digest> {
    const path = `${this.#folder}/${hexOf(layer.digest)}`
    const known = await readFile(path, 'utf8').catch(() => '')
    if (isDigest(known.trim())) return known.trim() as Digest
    const size = await this.blobs.size(layer.digest)
    if (size === undefined) throw new OciError(`layer ${layer.digest} is not here`)
    const digest = new DigestStream()
    digest.resume()
    await pipeline(
      this.blobs.read(layer.digest),
      decompressor(layer.mediaType),
      new LimitStream(unpackLimitsOf(size).bytes),
      digest,
    ).catch((error: unknown) => {
      throw error instanceof OciError ? error : new OciError(`layer ${layer.digest} is damaged`, String(error), error)
    })
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await writeFile(`${path}.new`, `${digest.digest}\n`, { mode: 0o600 })
    await rename(`${path}.new`, path)
    return digest.digest
  }
}
