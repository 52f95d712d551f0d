import { isDigest } from '@croft/kit'
import { ImageError, type ImageResolver, type ResolvedImage } from '@croft/garden-api'
import type { BaseImages } from './base-image.js'
import { buildahOf, compilersOf } from '../stack/stack-images.js'
import type { Images } from './images.js'

/**
 * Turns image references into trees to mount: `croft:<manifest digest>` (after `Images.ensure`), `stack:<name>` (a stack's bare
 * base image; `@<diffID>` behind it for one in particular), `build:<name>` (the same with compilers), `dockerfile:<name>` (with
 * buildah), `raw:///dir` (a directory used as it is).
 */
export class CroftImageResolver implements ImageResolver {
  readonly #images: Images
  readonly #bases: BaseImages

  constructor(images: Images, bases: BaseImages) {
    this.#images = images
    this.#bases = bases
  }

  async resolve(uri: string): Promise<ResolvedImage> {
    if (uri === '') return { lowerPaths: [], env: [] }
    const colon = uri.indexOf(':')
    const rest = uri.slice(colon + 1)
    switch (uri.slice(0, colon)) {
      case 'croft':
        if (!isDigest(rest)) throw new ImageError(`not an image digest: ${rest.slice(0, 80)}`)
        return this.#images.mounts(rest)
      case 'stack':
      case 'build':
      case 'dockerfile': {
        const [stack = '', diffId = ''] = rest.split('@')
        const base = isDigest(diffId) ? await this.#bases.at(stack, diffId) : await this.#bases.current(stack)
        const compilers = uri.startsWith('build:') ? [compilersOf(base)] : []
        const buildah = uri.startsWith('dockerfile:') ? [buildahOf(base)] : []
        return {
          lowerPaths: [...compilers, ...buildah, base.treePath],
          env: Object.entries(base.env).map(([name, value]) => `${name}=${value}`),
        }
      }
      case 'raw':
        if (!/^\/\/\/[^\0]+$/.test(rest) || rest.includes('/../'))
          throw new ImageError(`not a raw image: ${uri.slice(0, 200)}`)
        return { lowerPaths: [rest.slice(2)], env: [] }
      default:
        throw new ImageError(`cannot resolve image ${uri.slice(0, 200)}`)
    }
  }
}
