import { mkdir, readFile, rename, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDigest, parseDigest, type Digest } from '@croft/kit'
import { ImageError } from '@croft/garden-api'
import { digestOf, hexOf, imageOf, parseImageConfig, parseManifest, type Image } from '@croft/oci'
import type { BaseImages } from './base-image.js'
import type { ImageSource } from './image-source.js'
import type { LayerStore } from './layers.js'

export interface ImagesOptions {
  /** `<node home>/images`: the two documents of each image used here, by the manifest's digest. */
  folder: string
  layers: LayerStore
  bases: BaseImages
  registry: ImageSource
}

/** A layer nobody used for so long goes, ms; longer than any build takes. */
const UNUSED_MS = 3 * 24 * 60 * 60_000
const UNUSED_WHEN_FULL_MS = 60 * 60_000
/** Share of the disk below which it is nearly full. */
const LOW_DISK = 0.1

/** The label that names the stack an image stands on. */
export const STACK_LABEL = 'io.croft.stack'

/** The images of a node: their documents, and that all their layers are unpacked here. */
export class Images {
  readonly #options: ImagesOptions

  constructor(options: ImagesOptions) {
    this.#options = options
  }

  /** Remembers an image made here, so that nothing is fetched for it. */
  async remember(manifest: Buffer, config: Buffer): Promise<Digest> {
    const digest = digestOf(manifest)
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 })
    await writeWhole(this.#documentPath(digest, 'config'), config)
    await writeWhole(this.#documentPath(digest, 'manifest'), manifest)
    return digest
  }

  /** The documents of an image; fetched from the app's repository when they are not here. @throws ImageError, RegistryError */
  async documents(appId: string, digest: Digest, signal?: AbortSignal): Promise<Image> {
    const local = await this.#local(digest)
    if (local !== null) return local
    const { registry } = this.#options
    const found = await registry.manifest(appId, digest, signal)
    if (found === null) throw new ImageError(`image ${digest} is not in the registry`)
    const manifest = parseManifest(found.bytes)
    const config = await registry.document(appId, manifest.config, signal)
    const image = imageOf(manifest, parseImageConfig(config))
    await this.remember(found.bytes, config)
    return image
  }

  /** The configuration of an image whose documents are here, with all that nobody reads. @throws ImageError */
  async rawConfig(digest: Digest): Promise<Buffer> {
    if ((await this.#local(digest)) === null) throw new ImageError(`image ${digest} is not on this node`)
    return readFile(this.#documentPath(digest, 'config'))
  }

  /**
   * Makes everything ready to mount `croft:<digest>`: call it before a container is created with that reference. Missing layers
   * are pulled from the app's repository. @throws ImageError, RegistryError, OciError
   */
  async ensure(appId: string, digest: string, signal?: AbortSignal): Promise<void> {
    if (!isDigest(digest)) throw new ImageError(`not an image digest: ${digest.slice(0, 80)}`)
    const image = await this.documents(appId, digest, signal)
    await this.ensureLayers(appId, image, image.config.rootfs.diff_ids, signal)
  }

  /** Makes those layers of an image ready whose diffIDs are named. */
  async ensureLayers(appId: string, image: Image, diffIds: readonly Digest[], signal?: AbortSignal): Promise<void> {
    const { layers, registry } = this.#options
    for (const [index, diffId] of image.config.rootfs.diff_ids.entries()) {
      const descriptor = image.manifest.layers[index]
      if (!diffIds.includes(diffId) || descriptor === undefined || layers.has(diffId)) continue
      if ((await this.#baseTree(image, diffId)) !== null) continue
      await layers.pull(diffId, descriptor, () => registry.blob(appId, descriptor, signal))
    }
  }

  /**
   * Removes layers that none of these images needs and that nobody used for days; for an hour when the disk is nearly full. What
   * a release needs later is pulled again. How many.
   */
  async collect(inUse: readonly string[]): Promise<number> {
    const keep = new Set<Digest>()
    for (const image of inUse) {
      const documents = isDigest(image) ? await this.#local(image) : null
      for (const diffId of documents?.config.rootfs.diff_ids ?? []) keep.add(diffId)
    }
    const { bavail, blocks } = await statfs(this.#options.folder)
    const unusedMs = bavail < blocks * LOW_DISK ? UNUSED_WHEN_FULL_MS : UNUSED_MS
    return this.#options.layers.collect(keep, unusedMs)
  }

  /** The trees of an image that is ready, uppermost first, and its environment. @throws ImageError when something is missing */
  async mounts(digest: Digest): Promise<{ lowerPaths: string[]; env: string[] }> {
    const image = await this.#local(digest)
    if (image === null) throw new ImageError(`image ${digest} is not on this node`)
    const lowerPaths = await this.treesOf(image, image.config.rootfs.diff_ids)
    return { lowerPaths, env: image.config.config?.Env ?? [] }
  }

  /** The trees of some layers of an image, uppermost first. @throws ImageError when one is missing */
  async treesOf(image: Image, diffIds: readonly Digest[]): Promise<string[]> {
    const trees: string[] = []
    for (const diffId of diffIds) {
      const tree = this.#options.layers.has(diffId)
        ? this.#options.layers.path(diffId)
        : await this.#baseTree(image, diffId)
      if (tree === null) throw new ImageError(`layer ${diffId} of the image is not on this node`)
      trees.unshift(tree)
    }
    return trees
  }

  async #baseTree(image: Image, diffId: Digest): Promise<string | null> {
    const stack = image.config.config?.Labels?.[STACK_LABEL]
    return stack === undefined ? null : this.#options.bases.treeOf(stack, diffId)
  }

  #documentPath(digest: Digest, kind: 'manifest' | 'config'): string {
    return join(this.#options.folder, `${hexOf(digest)}.${kind}.json`)
  }

  async #local(digest: Digest): Promise<Image | null> {
    let documents: [Buffer, Buffer]
    try {
      documents = await Promise.all([
        readFile(this.#documentPath(parseDigest(digest), 'manifest')),
        readFile(this.#documentPath(digest, 'config')),
      ])
    } catch {
      return null
    }
    const [manifestBytes, configBytes] = documents
    if (digestOf(manifestBytes) !== digest) return null // cut off by a crash
    const manifest = parseManifest(manifestBytes)
    if (digestOf(configBytes) !== manifest.config.digest) return null
    return imageOf(manifest, parseImageConfig(configBytes))
  }
}

let serial = 0

async function writeWhole(path: string, content: Buffer): Promise<void> {
  serial += 1
  const fresh = `${path}.${serial}.new`
  await writeFile(fresh, content, { mode: 0o600 })
  await rename(fresh, path)
}
