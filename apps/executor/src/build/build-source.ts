import type { Readable } from 'node:stream'
import type { BuildController } from './ports.js'

/**
 * The pushed tree of a build, as a tar. The controller begins to read it at once, while all else is made ready; where that takes longer
 * than a stream waits, it reads it anew.
 */
export class BuildSource {
  readonly #open: () => Promise<Readable>
  #begun: Promise<Readable>

  constructor(controller: Pick<BuildController, 'source'>, buildId: string, signal: AbortSignal) {
    this.#open = () => controller.source(buildId, signal)
    this.#begun = this.#begin()
  }

  /** From its beginning, for one reader. Rejects as `source` does. */
  async stream(): Promise<Readable> {
    const begun = await this.#begun.catch(() => null)
    if (begun !== null && !begun.destroyed) return begun
    this.#begun = this.#begin()
    return this.#begun
  }

  /** Lets go of what nobody has read. */
  close(): void {
    this.#begun.then(
      (tar) => tar.destroy(),
      () => undefined,
    )
  }

  #begin(): Promise<Readable> {
    const begun = this.#open()
    // one that breaks off is noticed by whoever reads it
    begun.then((tar) => tar.on('error', () => undefined)).catch(() => undefined)
    return begun
  }
}
