import { Column, Entity, PrimaryColumn } from 'typeorm'
import { bigintNumber } from '../db/bigint-number.js'

/** A registered router: only what it acknowledged is drained and stopped. Writer: route-sync. */
@Entity({ name: 'router' })
export class Router {
  @PrimaryColumn({ type: 'text' })
  id!: string

  @Column({ type: 'text', nullable: true })
  epoch!: string | null

  @Column({ type: 'bigint', name: 'applied_revision', default: 0, transformer: bigintNumber })
  appliedRevision!: number

  @Column({ type: 'jsonb', name: 'busy_instances' })
  busyInstances!: string[]

  @Column({ type: 'timestamptz', name: 'last_poll_at', default: () => 'now()' })
  lastPollAt!: Date
}
