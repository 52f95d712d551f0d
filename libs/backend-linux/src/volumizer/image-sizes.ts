import { directoryUsage } from './usage.js'

/** How many bytes images take on disk. A layer never changes once it is in use, so each is measured once. */
export class ImageSizes {
  readonly #measured = new Map<string, Promise<number>>()

  async of(layers: readonly string[]): Promise<number> {
    const sizes = await Promise.all(layers.map(async (layer) => await this.#measure(layer)))
    return sizes.reduce((sum, bytes) => sum + bytes, 0)
  }
  async #measure(layer: string): Promise<number> {
    const known = this.#measured.get(layer)
    if (known !== undefined) return await known
    const measuring = directoryUsage(layer, Number.POSITIVE_INFINITY).then((usage) => usage.bytes)
    this.#measured.set(layer, measuring)
    try {
      return await measuring
    } catch (error) {
      this.#measured.delete(layer)
      throw error
    }
  }
}
