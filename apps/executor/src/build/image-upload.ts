import type { Readable } from 'node:stream'
import type { Digest } from '@croft/kit'
import { RegistryError, RegistryUnreachable, type Descriptor, type RegistryClient } from '@croft/oci'

/** Gives a blob's bytes, from the start, as often as asked. */
interface Source {
  open(): Buffer | Readable
}

interface Blob {
  descriptor: Descriptor
  /** Called only when the registry lacks the blob. */
  source: () => Source | Promise<Source>
}

/**
 * Brings one image into a repository: blobs side by side as they come, the manifest once all of them are there. What `likely`
 * names, the blobs of the app's former image, is not even asked for; should the registry lack one after all, it refuses the manifest,
 * and then every blob is looked for.
 */
export class ImageUpload {
  readonly #blobs = new Map<Digest, Blob>()
  readonly #sending: Promise<void>[] = []

  constructor(
    private readonly registry: Pick<RegistryClient, 'hasBlob' | 'putBlob' | 'putManifest'>,
    private readonly repository: string,
    private readonly likely: ReadonlySet<Digest>,
    private readonly signal: AbortSignal,
  ) {}

  /** Begins to upload a blob unless it is there. `finish` tells of a failure. */
  begin(descriptor: Descriptor, source: Blob['source']): void {
    if (this.#blobs.has(descriptor.digest)) return
    const blob = { descriptor, source }
    this.#blobs.set(descriptor.digest, blob)
    if (this.likely.has(descriptor.digest)) return
    const sending = this.#send(blob)
    sending.catch(() => undefined)
    this.#sending.push(sending)
  }

  /** Puts the manifest when every blob is there. @throws RegistryError */
  async finish(manifest: { digest: Digest; bytes: Buffer }): Promise<void> {
    await Promise.all(this.#sending)
    const assumed = [...this.#blobs.values()].filter(({ descriptor }) => this.likely.has(descriptor.digest))
    const put = (): Promise<void> =>
      this.registry.putManifest(this.repository, manifest.digest, manifest.bytes, this.signal)
    try {
      await put()
    } catch (error) {
      const isRefusal = error instanceof RegistryError && !(error instanceof RegistryUnreachable)
      if (!isRefusal || assumed.length === 0) throw error
      await Promise.all(assumed.map((blob) => this.#send(blob)))
      await put()
    }
  }

  /** Resolves when nothing is being sent any more, whatever came of it. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#sending)
  }

  async #send({ descriptor, source }: Blob): Promise<void> {
    if (await this.registry.hasBlob(this.repository, descriptor.digest, this.signal)) return
    const bytes = await source()
    await this.registry.putBlob(this.repository, descriptor, () => bytes.open(), this.signal)
  }
}
