import { Inject, Injectable } from '@nestjs/common'
import type { RouterStatus } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import { EPOCH } from '../db/signals.module.js'
import { DATA_SOURCE } from '../tokens.js'

/** Writes what a router says, and notifies when it is news: one round trip, for a deployment waits for it twice. */
const WRITE = `WITH was AS (SELECT epoch, applied_revision, busy_instances FROM router WHERE id = $1 FOR UPDATE),
  written AS (
    INSERT INTO router (id, epoch, applied_revision, busy_instances) VALUES ($1, $2, $3, coalesce($4::jsonb, '[]'))
    ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, applied_revision = excluded.applied_revision,
      busy_instances = coalesce($4::jsonb, router.busy_instances), last_poll_at = now()
    RETURNING epoch, applied_revision, busy_instances)
  SELECT pg_notify('croft', 'routers') FROM written LEFT JOIN was ON true
  WHERE (was.epoch, was.applied_revision, was.busy_instances)
    IS DISTINCT FROM (written.epoch, written.applied_revision, written.busy_instances)`

/** The writer of `router`: who routes, and what it acknowledged. Only removing one by hand unregisters it. */
@Injectable()
export class RouterService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(EPOCH) private readonly epoch: string,
  ) {}

  /** A poll: registers the router, and takes `after` as what it serves. Revisions of another database count for nothing. */
  async acknowledge(id: string, epoch: string | null, revision: number): Promise<void> {
    await this.#write(id, epoch, revision, null)
  }

  async report(id: string, status: RouterStatus): Promise<void> {
    await this.#write(id, status.epoch, status.appliedRevision, status.busyInstances)
  }

  async #write(
    id: string,
    epoch: string | null,
    revision: number,
    busyInstances: readonly string[] | null,
  ): Promise<void> {
    const applied = epoch === this.epoch ? revision : 0
    const busy = busyInstances === null ? null : JSON.stringify(busyInstances)
    await this.dataSource.query(WRITE, [id, this.epoch, applied, busy])
  }
}
