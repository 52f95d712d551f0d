import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import type { Clock, Logger } from '@croft/kit'
import { CLOCK, LOGGER } from '../tokens.js'
import { BuildQueue } from './build.queue.js'
import { BuildService } from './build.service.js'

const EVERY_MS = 5_000

/** Finds what no message told of: queued builds nobody woke, results nobody announced, builds whose node is lost. */
@Injectable()
export class BuildSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(BuildQueue) private readonly queue: BuildQueue,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.#running = this.#run()
  }

  async onModuleDestroy(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** One pass. With Redis away the worker cannot be woken, so the pass starts builds itself. */
  async sweep(): Promise<void> {
    await this.builds.sweepRunning()
    const queued = await this.builds.queuedIds()
    for (const id of queued) void this.queue.wake(id)
    if (queued.length > 0) await this.builds.startNext()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.sweep()
      } catch (error) {
        this.logger.error('build-sweep-failed', { error })
      }
      await this.clock.sleep(EVERY_MS, this.#stop.signal).catch(() => undefined)
    }
  }
}
