import { realpath, stat } from 'node:fs/promises'
import { CroftError, errnoOf, messageOf } from '@croft/kit'
import { ImageError, type ImageResolver, type ResolvedImage } from '@croft/garden-api'
import type { TreeStore } from './tree-store.js'
import { unpackTar } from './unpack.js'

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
 * `oci:///layout#name`), and whatever else an alias names.
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
    const tree = await this.#options.trees.tree(digest, async (dir) => await this.#unpack(real, dir))
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

  async #digestOf(path: string, version: string): Promise<string> {
    const key = `${path} ${version}`
    const known = this.#digests.get(key)
    if (known !== undefined) return known
    const digest = await (await packed()).hexDigestOf(path)
    this.#digests.set(key, digest)
    return digest
  }
}

const shown = (uri: string): string => uri.slice(0, 200)
