import type { Stats } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { CroftError, errnoOf, messageOf } from '@croft/kit'
import { ImageError, type ImageResolver, type ResolvedImage } from '@croft/garden-api'
import { LAYER_SCHEME, parseLayerReference, type LayerReference } from './layer-reference.js'
import { layerTree } from './layer-tree.js'
import type { TreeStore } from './tree-store.js'
import { unpackTar, versionOf } from './unpack.js'

/** Loaded for the first image that has to be unpacked: it would be half of the program's start. */
const packed = async (): Promise<typeof import('./packed-image.js')> => await import('./packed-image.js')

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
 * `oci:///layout#name`), any of these with one more tar above it (`preloaded+layer:`), and whatever else an alias names.
 */
export class LocalImages implements ImageResolver {
  readonly #options: LocalImagesOptions
  /** Digests of tars by path, size and change time: a tar is read again only when it was changed. */
  readonly #digests = new Map<string, string>()

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
    const layered = parseLayerReference(uri)
    if (layered !== null) return await this.#layered(layered)
    const [scheme = '', rest = ''] = uri.split('://', 2)
    if (scheme === 'oci' && rest.startsWith('/')) return await (await packed()).imageOfLayout(rest, this.#options.trees)
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

  /** The base with the layer above it, whose bytes are those that were asked for. */
  async #layered({ base, layer, path, digest }: LayerReference): Promise<ResolvedImage> {
    const meant = this.#meant(base)
    if (meant?.startsWith(LAYER_SCHEME))
      throw new ImageError(`image ${shown(meant)} cannot be the base of another layer`)
    const below = meant === null ? { lowerPaths: [], env: [] } : await this.#resolve(meant)
    const named = this.#options.aliases.get(layer) ?? layer
    if (!named.startsWith('/')) {
      throw new ImageError(
        `layer ${shown(layer)} is not on this host`,
        undefined,
        `name the file it stands for: --image-alias ${shown(layer)}=/path/of/a/tar`,
      )
    }
    const { real, found } = await this.#found('layer', named)
    if (!found.isFile()) throw new ImageError(`layer ${shown(named)} is no tar`)
    const version = versionOf(found)
    const is = await this.#digestOf(real, version)
    if (`sha256:${is}` !== digest) {
      throw new ImageError(`layer ${shown(named)} is sha256:${is}, not ${digest}`, undefined, 'fetch it again')
    }
    try {
      const tree = await layerTree(real, { path, digest, version }, below.lowerPaths, this.#options.trees)
      return { ...below, lowerPaths: [tree, ...below.lowerPaths] }
    } catch (error) {
      throw error instanceof ImageError ? error : notUnpacked('layer', named, error)
    }
  }

  async #path(path: string): Promise<ResolvedImage> {
    const { real, found } = await this.#found('image', path)
    if (found.isDirectory()) return { lowerPaths: [real], env: [] }
    if (!found.isFile()) throw new ImageError(`image ${shown(path)} is neither a directory nor a tar`)
    const digest = await this.#digestOf(real, versionOf(found))
    const tree = await this.#options.trees.tree(digest, async (dir) => await this.#unpack(real, dir))
    return { lowerPaths: [tree], env: [] }
  }

  async #found(what: string, path: string): Promise<{ real: string; found: Stats }> {
    try {
      const real = await realpath(path)
      return { real, found: await stat(real) }
    } catch (error) {
      const why = errnoOf(error) === 'ENOENT' ? 'there is no such directory or tar' : messageOf(error)
      throw new ImageError(`${what} ${shown(path)}: ${why}`, error, 'check the path, as this host sees it')
    }
  }

  async #unpack(path: string, dir: string): Promise<void> {
    try {
      await unpackTar(path, dir)
    } catch (error) {
      throw notUnpacked('image', path, error)
    }
  }

  async #digestOf(path: string, version: string): Promise<string> {
    const key = `${path} ${version}`
    const known = this.#digests.get(key)
    if (known !== undefined) return known
    const digest = await (await packed()).hexDigestOf(path)
    this.#digests.set(key, digest)
    return digest
  }
}

function notUnpacked(what: string, path: string, cause: unknown): ImageError {
  return new ImageError(
    `${what} ${shown(path)} is no tar that can be unpacked`,
    cause,
    `see what \`tar -tf ${path}\` says`,
  )
}

const shown = (uri: string): string => uri.slice(0, 200)
