import { messageOf, type Logger, type NodeId } from '@croft/kit'
import type { NodeReport } from '@croft/protocol'
import type { DataSource } from 'typeorm'

/** Renewals are written together, so often at most. */
export const RENEW_EVERY_MS = 1_000

export type Renewal = Pick<NodeReport, 'bootId' | 'epoch' | 'appliedRevision' | 'capacity'>

/**
 * Leases of nodes that had nothing to say but that they live: one UPDATE a second for all of them. The first after a pause is written
 * at once.
 */
export class LeaseRenewals {
  readonly #due = new Map<NodeId, Renewal>()
  #timer: NodeJS.Timeout | undefined
  #flushedAtMs = -Infinity
  #isClosed = false

  constructor(
    private readonly dataSource: DataSource,
    private readonly logger: Logger,
    private readonly everyMs = RENEW_EVERY_MS,
  ) {}

  renew(nodeId: NodeId, renewal: Renewal): void {
    if (this.#isClosed) return
    this.#due.set(nodeId, renewal)
    const waitMs = Math.max(0, this.#flushedAtMs + this.everyMs - performance.now())
    this.#timer ??= setTimeout(() => void this.flush(), waitMs).unref()
  }

  /** Writes what is due. A failure is logged: the next report renews again. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#flushedAtMs = performance.now()
    const rows = [...this.#due].map(([id, renewal]) => ({ id, ...renewal }))
    this.#due.clear()
    if (rows.length === 0) return
    try {
      await this.dataSource.query(
        `UPDATE node SET last_report_at = now(), capacity = r.capacity, applied_epoch = r.epoch, applied_revision = r."appliedRevision"
         FROM jsonb_to_recordset($1) AS r(id uuid, "bootId" text, epoch text, "appliedRevision" bigint, capacity jsonb)
         WHERE node.id = r.id AND node.boot_id = r."bootId"`,
        [JSON.stringify(rows)],
      )
    } catch (error) {
      this.logger.warn('leases-not-renewed', { nodes: rows.length, why: messageOf(error) })
    }
  }

  async close(): Promise<void> {
    await this.flush()
    this.#isClosed = true
    clearTimeout(this.#timer)
  }
}
