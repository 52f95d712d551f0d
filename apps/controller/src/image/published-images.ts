import { Readable } from 'node:stream'
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common'
import { backoffMs, CroftError, messageOf, type Clock, type Digest, type Logger } from '@croft/kit'
import { ExternalRegistry, hexOf, NotInRegistry, parseManifest, RegistryError, type Descriptor } from '@croft/oci'
import type { ControllerConfig } from '../config.js'
import { CLOCK, CONFIG, LOGGER } from '../tokens.js'
import { BlobStore, type Elsewhere } from './blob-store.js'
import { ManifestStore } from './manifest-store.js'
import { RegistryTrust } from './registry-trust.js'

/** All of one image may take so long to be published, ms. */
const PUBLISH_MS = 10 * 60_000
/** One look at what the registry has, ms. */
const LOOK_MS = 20_000
const RETRY = { baseMs: 200, maxMs: 2_000, jitter: 0.2 }
const TRIES = 3

/** An image that is not released, because no node could get it from where nodes get images. */
export class ImageNotPublished extends CroftError {
  constructor(address: string, cause: unknown) {
    const why =
      cause instanceof CroftError
        ? [cause.title, cause.detail].filter((part) => part !== undefined).join(': ')
        : messageOf(cause)
    super({
      code: 'image-not-published',
      status: 502,
      title: `the image was not stored in ${address}: ${why}`,
      suggestion: 'deploy again once the registry answers; croft doctor on the host of the platform tells how it is',
      kind: 'user',
      cause,
    })
  }
}

/**
 * The images in the registry that `--registry-url` names; without it nothing happens here. An image is published before its release is
 * made, so that whatever is released can be pulled by any node. What is missing in our own store is read from there.
 */
@Injectable()
export class PublishedImages implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown, Elsewhere {
  readonly #registry: ExternalRegistry | null
  /** Manifests that are there, as far as this process knows. */
  readonly #published = new Set<Digest>()
  readonly #stop = new AbortController()
  #catchingUp: Promise<void> = Promise.resolve()

  constructor(
    @Inject(CONFIG) config: ControllerConfig,
    @Inject(BlobStore) private readonly blobs: BlobStore,
    @Inject(ManifestStore) private readonly manifests: ManifestStore,
    @Inject(RegistryTrust) { certificates, proxies }: Pick<RegistryTrust, 'certificates' | 'proxies'>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    const { registry, homeId } = config
    this.#registry = registry === null ? null : new ExternalRegistry({ ...registry, homeId, certificates, proxies })
  }

  onModuleInit(): void {
    if (this.#registry !== null) this.blobs.elsewhere = this
  }

  onApplicationBootstrap(): void {
    this.#catchingUp = this.#publishAll()
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort(new Error('the controller ends'))
    await this.#catchingUp
    await this.#registry?.close()
  }

  /**
   * Makes an image of an app's repository one that every node can pull. Whether anything was sent, and where to.
   * @throws ImageNotPublished
   */
  async publish(
    appId: string,
    image: string,
    signal?: AbortSignal,
  ): Promise<{ isNew: boolean; address: string } | null> {
    const registry = this.#registry
    const found = registry === null ? undefined : await this.manifests.find(appId, image)
    if (registry === null || found === undefined) return null // an image that is not here cannot be released either
    const { address } = registry
    if (this.#published.has(found.digest)) return { isNew: false, address }
    const over = new AbortController()
    const stop = AbortSignal.any([
      AbortSignal.timeout(PUBLISH_MS),
      this.#stop.signal,
      over.signal,
      ...(signal === undefined ? [] : [signal]),
    ])
    try {
      const isNew = !(await this.#again(() => registry.hasManifest(found.digest, stop), stop))
      if (isNew) {
        const { config, layers } = parseManifest(found.bytes)
        await Promise.all([...layers, config].map((blob) => this.#again(() => this.#send(registry, blob, stop), stop)))
        await this.#again(() => registry.putManifest(found, `image-${hexOf(found.digest)}`, stop), stop)
        this.logger.info('image-published', { app: appId, image: found.digest })
      }
      this.#published.add(found.digest)
      return { isNew, address }
    } catch (error) {
      signal?.throwIfAborted()
      this.logger.warn('image-not-published', { app: appId, image: found.digest, why: messageOf(error) })
      throw new ImageNotPublished(address, error)
    } finally {
      over.abort() // what is still being sent when one blob was refused
    }
  }

  /** Removes an image that no app has any more; a registry that does not delete keeps it. */
  async forget(image: Digest): Promise<void> {
    this.#published.delete(image)
    try {
      await this.#registry?.removeManifest(image, AbortSignal.timeout(LOOK_MS))
    } catch (error) {
      this.logger.warn('published-image-not-removed', { image, why: messageOf(error) })
    }
  }

  async size(digest: Digest): Promise<number | undefined> {
    try {
      return await this.#registry?.sizeOf(digest, AbortSignal.timeout(LOOK_MS))
    } catch (error) {
      this.logger.warn('registry-not-asked', { digest, why: messageOf(error) })
      return undefined
    }
  }

  async read(digest: Digest): Promise<Readable> {
    if (this.#registry === null) throw new NotInRegistry(`${digest} is not here`)
    const size = await this.#registry.sizeOf(digest, AbortSignal.timeout(LOOK_MS))
    if (size !== undefined) return this.#registry.blob({ digest, size }, AbortSignal.timeout(PUBLISH_MS))
    // here a manifest is a blob like all others
    const { bytes } = await this.#registry.manifest(digest, AbortSignal.timeout(LOOK_MS))
    return Readable.from([bytes], { objectMode: false })
  }

  async #send(registry: ExternalRegistry, blob: Descriptor, signal: AbortSignal): Promise<void> {
    if ((await registry.sizeOf(blob.digest, signal)) !== undefined) return
    await registry.putBlob(blob, () => this.blobs.read(blob.digest), signal)
  }

  /** A registry that restarts is waited for, for a moment. */
  async #again<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await task()
      } catch (error) {
        if (!(error instanceof RegistryError) || failures + 1 >= TRIES) throw error
      }
      await this.clock.sleep(backoffMs(failures, RETRY, Math.random()), signal)
    }
  }

  /** What was there before the registry was, or could not be sent when it was made. */
  async #publishAll(): Promise<void> {
    if (this.#registry === null) return
    for (const appId of await this.manifests.apps()) {
      for (const { digest } of await this.manifests.list(appId)) {
        if (this.#stop.signal.aborted) return
        try {
          await this.publish(appId, digest)
        } catch (error) {
          if (!(error instanceof ImageNotPublished))
            this.logger.warn('image-not-published', { app: appId, image: digest, error })
        }
      }
    }
  }
}
