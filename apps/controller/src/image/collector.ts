import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { messageOf, type Clock, type Digest, type Logger } from '@croft/kit'
import type { DataSource } from 'typeorm'
import { CLOCK, DATA_SOURCE, LOGGER } from '../tokens.js'
import { BlobStore } from './blob-store.js'
import { manifestsToKeep } from './collect.js'
import { imagesInUse } from './images-in-use.js'
import { checkManifest } from './manifest-check.js'
import { ManifestStore } from './manifest-store.js'
import { PublishedImages } from './published-images.js'

/** Longer than any build or push takes between a blob and the manifest that refers to it, ms. */
const GRACE_MS = 2 * 60 * 60_000
const EVERY_MS = 60 * 60_000

export interface Collected {
  manifests: number
  blobs: number
  bytes: number
}

/**
 * Removes images that nothing refers to, by mark and sweep, while builds and pushes go on. Marked are the images of releases that
 * serve, roll, run or may be rolled back to, of the builds the next one goes on from with the builder images they used, and of tags. Swept is what is not marked,
 * older than the grace time, and was not asked for within it: whoever finds a blob here has that long to refer to it.
 */
@Injectable()
export class Collector implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #last: Promise<unknown> = Promise.resolve()

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(BlobStore) private readonly blobs: BlobStore,
    @Inject(ManifestStore) private readonly manifests: ManifestStore,
    @Inject(PublishedImages) private readonly published: PublishedImages,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.#running = this.#keepCollecting()
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** One pass, after the one that is under way. */
  collect(graceMs = GRACE_MS): Promise<Collected> {
    const pass = this.#last.then(() => this.#pass(graceMs))
    this.#last = pass.catch(() => undefined)
    return pass
  }

  async #pass(graceMs: number): Promise<Collected> {
    const collected = { manifests: 0, blobs: 0, bytes: 0 }
    const marked = new Set<Digest>()
    const gone = new Set<Digest>()
    for (const appId of await this.manifests.apps()) {
      const { kept, removed } = await this.#collectApp(appId, graceMs)
      for (const digest of kept) marked.add(digest)
      for (const digest of removed) gone.add(digest)
      collected.manifests += removed.length
    }
    for (const digest of gone) if (!marked.has(digest)) await this.published.forget(digest)
    const swept = await this.blobs.sweep(marked, graceMs)
    return { ...collected, ...swept }
  }

  /** Removes the app's manifests that nothing needs; gives every blob its repository still refers to. */
  async #collectApp(appId: string, graceMs: number): Promise<{ kept: Set<Digest>; removed: Digest[] }> {
    const listed = await this.manifests.list(appId)
    const roots = await this.#roots(appId) // after the list: what was released since is young
    const manifests = []
    for (const { digest, writtenAt } of listed) {
      const { bytes, mediaType } = await this.manifests.peek(appId, digest)
      manifests.push({ digest, ageMs: this.clock.now() - writtenAt.getTime(), ...checkManifest(bytes, mediaType) })
    }
    const keep = manifestsToKeep({ manifests, roots, graceMs })
    const kept = new Set<Digest>()
    const removed: Digest[] = []
    for (const { digest, blobs } of manifests) {
      if (!keep.has(digest) && (await this.manifests.collect(appId, digest, graceMs))) removed.push(digest)
      else for (const blob of [digest, ...blobs]) kept.add(blob)
    }
    await this.manifests.collectLinks(appId, kept, graceMs)
    return { kept, removed }
  }

  async #roots(appId: string): Promise<Set<string>> {
    const roots = await imagesInUse(this.dataSource, appId)
    const [app] = await this.dataSource.query<{ live: boolean }[]>(
      'SELECT destroyed_at IS NULL AS live FROM app WHERE id = $1',
      [appId],
    )
    if (app?.live !== true) return roots
    for (const tag of await this.manifests.tags(appId)) {
      const stored = await this.manifests.tag(appId, tag)
      if (stored !== undefined) roots.add(stored.digest)
    }
    return roots
  }

  async #keepCollecting(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.clock.sleep(EVERY_MS, signal).catch(() => undefined)
      if (signal.aborted) return
      try {
        const collected = await this.collect()
        if (collected.blobs + collected.manifests > 0) this.logger.info('images-collected', { ...collected })
      } catch (error) {
        this.logger.error('images-not-collected', { why: messageOf(error), error })
      }
    }
  }
}
