import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common'
import { messageOf, type Logger } from '@croft/kit'
import pg from 'pg'
import type { EntityManager } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { CONFIG, LOGGER } from '../tokens.js'

/**
 * What a notification can name. It carries no facts, only where to look:
 * - `revision <name>`: a watched counter was raised
 * - `app <id>`: intent, formation or a status of one of its instances changed
 * - `deployment <id>`: its row changed
 * - `build <id>`: its row or the status of its instance changed; the control loop does not wake for it
 * - `routers`: a router acknowledged a table or drained an instance
 * - `nodes`: a node joined
 */
export type Topic =
  | `revision ${string}`
  | `app ${string}`
  | `deployment ${string}`
  | `build ${string}`
  | 'routers'
  | 'nodes'

const CHANNEL = 'croft'
/** Sent to every waiter after a reconnection: anything may have been missed. */
const EVERYTHING = '*'
const RECONNECT_MS = 500

/** Sends notifications when the caller's transaction commits. */
export async function notify(manager: EntityManager, ...topics: readonly Topic[]): Promise<void> {
  if (topics.length === 0) return
  await manager.query('SELECT pg_notify($1, topic) FROM unnest($2::text[]) AS topic', [CHANNEL, topics])
}

/** A wait that can be armed before the state is read, so that nothing that happens in between is slept through. */
export interface Waiter {
  /** Resolves at the next matching notification since the last `wait` returned, or after `ms`, or when the signal aborts. */
  wait(ms: number, signal?: AbortSignal): Promise<void>
  close(): void
}

/** `LISTEN` on one connection of its own. Notifications only shorten waits: whoever waits also looks by himself now and then. */
@Injectable()
export class Signals implements OnModuleInit, OnModuleDestroy {
  readonly #listeners = new Set<(topic: string) => void>()
  #client: pg.Client | undefined
  #retry: NodeJS.Timeout | undefined
  #isClosed = false
  #isLost = false

  constructor(
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.#connect()
  }

  async onModuleDestroy(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retry)
    for (const listener of this.#listeners) listener(EVERYTHING)
    await this.#client?.end().catch(() => undefined)
  }

  /** Calls `listener` with each topic, and with `*` when anything may have changed; gives the function that ends it. */
  subscribe(listener: (topic: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** A waiter for the topics that match. */
  waiter(matches: (topic: string) => boolean): Waiter {
    let isDue = false
    let wake: (() => void) | undefined
    const close = this.subscribe((topic) => {
      if (topic !== EVERYTHING && !matches(topic)) return
      isDue = true
      wake?.()
    })
    return {
      close,
      async wait(ms, signal) {
        if (!isDue && signal?.aborted !== true) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, ms)
            const end = (): void => {
              clearTimeout(timer)
              resolve()
            }
            wake = end
            signal?.addEventListener('abort', end, { once: true })
          })
        }
        isDue = false
        wake = undefined
      },
    }
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.config.databaseUrl,
      application_name: 'croft-controller-listen',
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
    })
    let isLost = false
    const lost = (why: string): void => {
      if (isLost || this.#isClosed) return
      isLost = true
      if (!this.#isLost) this.logger.warn('notifications-lost', { why })
      this.#isLost = true
      client.end().catch(() => undefined)
      this.#retry = setTimeout(() => void this.#connect(), RECONNECT_MS)
    }
    client.on('error', (error: Error) => lost(error.message))
    client.on('end', () => lost('the connection ended'))
    client.on('notification', ({ payload }) => {
      for (const listener of this.#listeners) listener(payload ?? '')
    })
    try {
      await client.connect()
      await client.query(`LISTEN ${CHANNEL}`)
      if (this.#isClosed) return await client.end()
      this.#client = client
      if (this.#isLost) this.logger.info('notifications-back')
      this.#isLost = false
      for (const listener of this.#listeners) listener(EVERYTHING)
    } catch (error) {
      lost(messageOf(error))
    }
  }
}
