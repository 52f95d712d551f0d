import { z } from 'zod'
import { backoffMs, messageOf, type Clock, type Logger } from '@croft/kit'

/**
 * The one wire pattern of both links: `GET …?epoch=&after=&wait=` answers 200 with the full set when its revision is newer
 * than `after` or its epoch differs, and 204 after `wait` seconds. `after` is the acknowledgement: what has been applied.
 */
export interface Snapshot<T> {
  /** Changes when revisions of before mean nothing any more (another database). */
  epoch: string
  revision: number
  complete: true
  items: T[]
}

/** The schema of a snapshot whose items have the given schema; `extra` adds members beside `items`. */
export function snapshotSchema<T extends z.ZodType>(
  item: T,
): z.ZodObject<{
  epoch: z.ZodString
  revision: z.ZodInt
  complete: z.ZodLiteral<true>
  items: z.ZodArray<T>
}> {
  return z.object({ epoch: z.string(), revision: z.int(), complete: z.literal(true), items: z.array(item) })
}

export interface WatchQuery {
  epoch: string | null
  after: number
  waitSeconds: number
}

export interface WatchOptions<S extends { epoch: string; revision: number }> {
  /** One long poll; null for 204. Must give up some seconds after `waitSeconds`. */
  fetch: (query: WatchQuery, signal: AbortSignal) => Promise<S | null>
  /** Applies a snapshot; only when it resolves is its revision acknowledged. A rejection is logged and the set fetched again. */
  apply: (snapshot: S) => Promise<void>
  /** Where to resume from, e.g. a table kept on disk. */
  initial?: { epoch: string; revision: number }
  waitSeconds?: number
  clock: Clock
  random: () => number
  logger: Logger
  signal: AbortSignal
}

const DEFAULT_WAIT_SECONDS = 20
const RETRY = { baseMs: 50, maxMs: 2_000, jitter: 0.2 }

/** Follows a watched set until `signal` aborts. A failed poll changes nothing: what was applied stays. */
export async function watch<S extends { epoch: string; revision: number }>(options: WatchOptions<S>): Promise<void> {
  let { epoch, revision }: { epoch: string | null; revision: number } = options.initial ?? { epoch: null, revision: 0 }
  let failures = 0
  while (!options.signal.aborted) {
    try {
      const query = { epoch, after: revision, waitSeconds: options.waitSeconds ?? DEFAULT_WAIT_SECONDS }
      const snapshot = await options.fetch(query, options.signal)
      if (snapshot !== null) {
        await options.apply(snapshot)
        epoch = snapshot.epoch
        revision = snapshot.revision
      }
      failures = 0
    } catch (error) {
      if (options.signal.aborted) return
      options.logger.warn('watch-failed', { failures, why: messageOf(error) })
      await options.clock.sleep(backoffMs(failures, RETRY, options.random()), options.signal).catch(() => undefined)
      failures += 1
    }
  }
}
