import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import type { Clock, Logger } from '@croft/kit'
import { CLOCK, LOGGER } from '../tokens.js'
import { BuildRows } from './build-rows.js'
import { BuildTurns } from './build-turns.js'
import { BuildQueue } from './build.queue.js'

const EVERY_MS = 5_000

/** Finds what no message told of: queued builds nobody woke, results nobody announced, builds whose node is lost. */
@Injectable()
export class BuildSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(
    @Inject(BuildRows) private readonly rows: BuildRows,
    @Inject(BuildTurns) private readonly turns: BuildTurns,
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
    await this.rows.sweepRunning()
    const queued = await this.rows.queuedIds()
    for (const id of queued) void this.queue.wake(id)
    if (queued.length > 0) await this.turns.startNext()
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
