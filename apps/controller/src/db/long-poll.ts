import type { Snapshot } from '@croft/protocol'
import { z } from 'zod'
import type { Signals } from './signals.js'

/** The longest a poll is held, s. */
const MAX_WAIT_SECONDS = 60
/** A held poll looks again at least this often: notifications only shorten the wait. */
const LOOK_EVERY_MS = 1_000

export const watchQuerySchema = z.object({
  epoch: z.string().optional(),
  after: z.coerce.number().int().nonnegative().default(0),
  wait: z.coerce
    .number()
    .nonnegative()
    .default(0)
    .transform((seconds) => Math.min(seconds, MAX_WAIT_SECONDS)),
})

export interface LongPoll<S> {
  signals: Signals
  /** The counter that is watched. */
  revisionName: string
  /** The present value of the counter. */
  revision: () => Promise<number>
  /** The whole set with its revision, read in one snapshot. */
  read: () => Promise<S>
  epoch: string
  query: z.infer<typeof watchQuerySchema>
  signal: AbortSignal
}

/** The set as soon as it is newer than what was applied or of another epoch; null after the wait. */
export async function longPoll<S extends Pick<Snapshot<unknown>, 'revision'>>(options: LongPoll<S>): Promise<S | null> {
  const { query, signal } = options
  const waiter = options.signals.waiter((topic) => topic === `revision ${options.revisionName}`)
  const end = performance.now() + query.wait * 1000
  try {
    for (;;) {
      if (query.epoch !== options.epoch || (await options.revision()) !== query.after) return await options.read()
      const left = end - performance.now()
      if (left <= 0 || signal.aborted) return null
      await waiter.wait(Math.min(left, LOOK_EVERY_MS), signal)
    }
  } finally {
    waiter.close()
  }
}
