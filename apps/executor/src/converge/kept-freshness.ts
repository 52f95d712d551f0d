import { readFile } from 'node:fs/promises'
import { messageOf, type Clock, type Logger } from '@croft/kit'
import { z } from 'zod'
import { writeWhole } from '../write-whole.js'
import { BREAK_MS, mayDestroy, NEVER_SEEN, observe, type Freshness } from './freshness.js'
import { SerialQueues } from './serial-queues.js'

const keptSchema = z.object({
  epoch: z.string(),
  revision: z.int(),
  /** ms since the epoch: monotonic time does not outlive a process. */
  holdUntilMs: z.number(),
})

/**
 * Which desired set was seen last, also before this process: a database that was restored while the executor was away is noticed
 * all the same. A file that is behind only makes it more careful.
 */
export class KeptFreshness {
  readonly #queue = new SerialQueues()

  private constructor(
    private readonly path: string,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly breakMs: number,
    private freshness: Freshness,
  ) {}

  static async open(path: string, clock: Clock, logger: Logger, timeScale: number): Promise<KeptFreshness> {
    const breakMs = BREAK_MS / timeScale
    const kept = keptSchema.safeParse(await readFile(path, 'utf8').then(JSON.parse, () => undefined))
    if (!kept.success) return new KeptFreshness(path, clock, logger, breakMs, NEVER_SEEN)
    const { epoch, revision, holdUntilMs } = kept.data
    const leftMs = Math.min(breakMs, Math.max(0, holdUntilMs - clock.now()))
    const freshness = { epoch, revision, holdUntilMs: leftMs === 0 ? 0 : clock.monotonic() + leftMs }
    return new KeptFreshness(path, clock, logger, breakMs, freshness)
  }

  /** A complete set was read. */
  observe(seen: { epoch: string; revision: number }): void {
    const { clock, logger } = this
    const before = this.freshness
    this.freshness = observe(before, seen, clock.monotonic(), this.breakMs)
    const { epoch, revision, holdUntilMs } = this.freshness
    if (holdUntilMs !== before.holdUntilMs) {
      logger.warn('desired-set-broke', { before, epoch, revision, heldMs: this.breakMs })
    }
    if (epoch === null || (epoch === before.epoch && revision === before.revision)) return
    const heldMs = Math.max(0, holdUntilMs - clock.monotonic())
    const text = JSON.stringify({ epoch, revision, holdUntilMs: heldMs === 0 ? 0 : clock.now() + heldMs })
    this.#queue
      .run('file', async () => await writeWhole(this.path, text))
      .catch((error: unknown) => logger.error('freshness-not-written', { why: messageOf(error) }))
  }

  /** Whether something may be stopped or destroyed now, given that a complete set was read. */
  mayDestroy(): boolean {
    return mayDestroy(this.freshness, this.clock.monotonic())
  }

  /** Resolves when what was observed is on disk. */
  async idle(): Promise<void> {
    await this.#queue.idle()
  }
}
