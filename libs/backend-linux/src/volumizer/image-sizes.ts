import { directoryUsage, type Usage } from './usage.js'

/** What images take on disk. A layer never changes once it is in use, so each is measured once. */
export class ImageSizes {
  readonly #measured = new Map<string, Promise<Usage>>()

  async of(layers: readonly string[]): Promise<Usage> {
    const sizes = await Promise.all(layers.map(async (layer) => await this.#measure(layer)))
    return sizes.reduce((sum, { bytes, inodes }) => ({ bytes: sum.bytes + bytes, inodes: sum.inodes + inodes }), {
      bytes: 0,
      inodes: 0,
    })
  }
  async #measure(layer: string): Promise<Usage> {
    const known = this.#measured.get(layer)
    if (known !== undefined) return await known
    const measuring = directoryUsage(layer, Number.POSITIVE_INFINITY)
    this.#measured.set(layer, measuring)
    try {
      return await measuring
    } catch (error) {
      this.#measured.delete(layer)
      throw error
    }
  }
}
