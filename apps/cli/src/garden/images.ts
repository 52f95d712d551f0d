import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CroftError, errnoOf, messageOf, type Digest } from '@croft/kit'
import { ImageError, type ImageResolver, type ResolvedImage } from '@croft/garden-api'
import { decompressor, digestOfStream, hexOf, ImageLayout, VerifyStream, type Descriptor } from '@croft/oci'
import type { TreeStore } from './tree-store.js'
import { convertWhiteouts, unpackTar } from './unpack.js'

export interface LocalImagesOptions {
  trees: TreeStore
  /** What an image without a URI is; null: an empty root. */
  defaultRootfs: string | null
  /** Image references that stand for others, such as `docker:///busybox` for `/images/busybox.tar`. */
  aliases: ReadonlyMap<string, string>
}

/**
 * Finds images on this host and nowhere else: a directory (`/dir`, `raw:///dir`) as it is, a tar (`/image.tar`, compressed or
 * not) unpacked once, several of those above one another (`layers:///upper:/lower`), an image of an OCI layout (`oci:///layout`,
 * `oci:///layout#name`), and whatever else an alias names.
 */
export class LocalImages implements ImageResolver {
  readonly #options: LocalImagesOptions
  /** Digests of tars by path, size and change time: a tar is read again only when it was changed. */
  readonly #digests = new Map<string, Digest>()

  constructor(options: LocalImagesOptions) {
    this.#options = options
  }

  /** @throws ImageError */
  async resolve(uri: string): Promise<ResolvedImage> {
    const meant = this.#meant(uri)
    if (meant === null) return { lowerPaths: [], env: [] }
    try {
      return await this.#resolve(meant)
    } catch (error) {
      if (error instanceof ImageError) throw error
      const remedy = error instanceof CroftError ? error.suggestion : undefined
      throw new ImageError(`image ${shown(uri)}: ${messageOf(error)}`, error, remedy)
    }
  }

  #meant(uri: string): string | null {
    const { aliases, defaultRootfs } = this.#options
    if (uri !== '') return aliases.get(uri) ?? uri
    return defaultRootfs === null ? null : (aliases.get(defaultRootfs) ?? defaultRootfs)
  }

  async #resolve(uri: string): Promise<ResolvedImage> {
    if (uri.startsWith('/')) return await this.#path(uri)
    const [scheme = '', rest = ''] = uri.split('://', 2)
    if (scheme === 'oci' && rest.startsWith('/')) return await this.#layout(rest)
    if (scheme === 'raw' && rest.startsWith('/')) return await this.#path(rest)
    if (scheme === 'layers' && rest.startsWith('/')) {
      const layers = await Promise.all(rest.split(':').map(async (path) => await this.#path(path)))
      return { lowerPaths: layers.flatMap(({ lowerPaths }) => lowerPaths), env: [] }
    }
    throw new ImageError(
      `image ${shown(uri)} is not on this host`,
      undefined,
      `name what it stands for: --image-alias ${shown(uri)}=/path/of/a/directory/or/tar`,
    )
  }

  async #path(path: string): Promise<ResolvedImage> {
    let real: string
    try {
      real = await realpath(path)
    } catch (error) {
      const why = errnoOf(error) === 'ENOENT' ? 'there is no such directory or tar' : messageOf(error)
      throw new ImageError(`image ${shown(path)}: ${why}`, error, 'check the path, as this host sees it')
    }
    const found = await stat(real)
    if (found.isDirectory()) return { lowerPaths: [real], env: [] }
    if (!found.isFile()) throw new ImageError(`image ${shown(path)} is neither a directory nor a tar`)
    const digest = await this.#digestOf(real, `${found.size} ${found.mtimeMs} ${found.ino}`)
    const tree = await this.#options.trees.tree(hexOf(digest), async (dir) => await this.#unpack(real, dir))
    return { lowerPaths: [tree], env: [] }
  }

  async #unpack(path: string, dir: string): Promise<void> {
    try {
      await unpackTar(path, dir)
    } catch (error) {
      throw new ImageError(
        `image ${shown(path)} is no tar that can be unpacked`,
        error,
        `see what \`tar -tf ${path}\` says`,
      )
    }
  }

  async #digestOf(path: string, version: string): Promise<Digest> {
    const key = `${path} ${version}`
    const known = this.#digests.get(key)
    if (known !== undefined) return known
    const digest = await digestOfStream(createReadStream(path))
    this.#digests.set(key, digest)
    return digest
  }

  async #layout(reference: string): Promise<ResolvedImage> {
    const [folder = '', name] = reference.split('#', 2)
    const layout = new ImageLayout(folder)
    const { manifest, config } = await layout.image(process.arch === 'arm64' ? 'arm64' : 'amd64', name)
    const lowerPaths: string[] = []
    let chain = ''
    for (const [index, descriptor] of manifest.layers.entries()) {
      const diffId = config.rootfs.diff_ids[index]
      if (diffId === undefined) throw new ImageError(`image ${shown(reference)} has more layers than digests`)
      const lower = [...lowerPaths]
      chain = chainId(chain, diffId)
      const fill = async (dir: string): Promise<void> => await unpackLayer(layout, descriptor, diffId, dir, lower)
      lowerPaths.unshift(await this.#options.trees.tree(chain, fill))
    }
    return { lowerPaths, env: config.config?.Env ?? [] }
  }
}

/** A layer by all that lies below it: its whiteouts mean nothing alone. Pure. */
export function chainId(below: string, diffId: Digest): string {
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

const shown = (uri: string): string => uri.slice(0, 200)
