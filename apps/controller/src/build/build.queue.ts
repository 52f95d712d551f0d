import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common'
import { messageOf, type BuildId, type Logger } from '@croft/kit'
import { Queue, Worker } from 'bullmq'
import { Redis, type RedisOptions } from 'ioredis'
import type { ControllerConfig } from '../config.js'
import { redisOptions } from '../db/redis.js'
import { CONFIG, LOGGER } from '../tokens.js'

/** What a job says: look at builds. The row says the rest. */
interface Wake {
  kind: 'build'
  id: BuildId
}

const NAME = 'builds'
const WORKER = {
  concurrency: 4,
  lockDuration: 10_000,
  stalledInterval: 5_000,
  maxStalledCount: 1_000,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
}

/** Wakes workers through Redis. It carries ids only: all of it may vanish, and the sweeper wakes what was lost. */
@Injectable()
export class BuildQueue implements OnModuleDestroy {
  readonly #queue: Queue
  readonly #connections: Redis[] = []
  #worker: Worker<Wake> | undefined
  #isClosed = false
  #lastError = ''

  constructor(
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.#queue = new Queue(NAME, {
      connection: this.#connect({ enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 2_000 }),
      prefix: this.#prefix(),
      skipVersionCheck: true,
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    })
    this.#queue.on('error', (error: Error) => this.#complain('queue', error))
  }

  /** Starts the worker: `step` does one step of a state machine and returns in under a second. */
  listen(step: (id: BuildId) => Promise<void>): void {
    this.#worker = new Worker<Wake>(NAME, async (job) => step(job.data.id), {
      ...WORKER,
      connection: this.#connect({ maxRetriesPerRequest: null }),
      prefix: this.#prefix(),
      skipVersionCheck: true,
    })
    this.#worker.on('error', (error: Error) => this.#complain('worker', error))
    this.#worker.on('failed', (job, error) => this.logger.error('build-step-failed', { build: job?.data.id, error }))
  }

  /** Tells a worker of a build. Never fails: a wake that is lost comes again from the sweeper. */
  async wake(id: BuildId): Promise<void> {
    if (this.#isClosed) return
    try {
      const wake: Wake = { kind: 'build', id }
      await this.#queue.add('wake', wake, { jobId: id })
    } catch (error) {
      this.#complain('queue', error)
    }
  }

  async onModuleDestroy(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled([this.#worker?.close(true), this.#queue.close()])
    for (const connection of this.#connections) connection.disconnect()
  }

  #connect(options: RedisOptions): Redis {
    const connection = new Redis({
      ...redisOptions(this.config.redisUrl),
      ...options,
      retryStrategy: (attempt) => Math.min(2_000, 50 * attempt),
    })
    connection.on('error', (error: Error) => this.#complain('connection', error))
    this.#connections.push(connection)
    return connection
  }

  /** One Redis may serve several homes. */
  #prefix(): string {
    return `croft-${this.config.homeId}`
  }

  /** Redis away is no failure of ours; it is said once for each kind of complaint. */
  #complain(what: string, error: unknown): void {
    const why = messageOf(error)
    if (this.#isClosed || why === this.#lastError) return
    this.#lastError = why
    this.logger.warn('redis-away', { what, why })
  }
}
