import { Inject, Injectable } from '@nestjs/common'
import type { RouterStatus } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import { notify } from '../db/signals.js'
import { EPOCH } from '../db/signals.module.js'
import { DATA_SOURCE } from '../tokens.js'

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
    await this.dataSource.transaction(async (manager) => {
      const before = await manager.query<{ epoch: string | null; applied: number; busy: string }[]>(
        `SELECT epoch, applied_revision::float8 AS applied, busy_instances::text AS busy FROM router WHERE id = $1 FOR UPDATE`,
        [id],
      )
      const after = await manager.query<{ epoch: string | null; applied: number; busy: string }[]>(
        `INSERT INTO router (id, epoch, applied_revision, busy_instances) VALUES ($1, $2, $3, coalesce($4::jsonb, '[]'))
         ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, applied_revision = excluded.applied_revision,
           busy_instances = coalesce($4::jsonb, router.busy_instances), last_poll_at = now()
         RETURNING epoch, applied_revision::float8 AS applied, busy_instances::text AS busy`,
        [id, this.epoch, applied, busyInstances === null ? null : JSON.stringify(busyInstances)],
      )
      const [was, is] = [before[0], after[0]]
      if (was?.epoch !== is?.epoch || was?.applied !== is?.applied || was?.busy !== is?.busy)
        await notify(manager, 'routers')
    })
  }
}
