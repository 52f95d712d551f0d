import { Column, Entity, PrimaryColumn, Unique } from 'typeorm'
import type { NodeId } from '@croft/kit'
import type { NodeCapacity } from './node-capacity.js'
import { bigintNumber } from '../db/bigint-number.js'

/** A host that runs instances. Its state is derived from lease, cordon and drain marks. Writer: node-sync. */
@Entity({ name: 'node' })
@Unique('node_name_key', ['name'])
export class Node {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: NodeId

  @Column({ type: 'text' })
  name!: string

  @Column({ type: 'text', name: 'boot_id' })
  bootId!: string

  @Column({ type: 'text' })
  network!: string

  @Column({ type: 'jsonb' })
  capacity!: NodeCapacity

  @Column({ type: 'text', name: 'status_hash' })
  statusHash!: string

  @Column({ type: 'text', name: 'applied_epoch', nullable: true })
  appliedEpoch!: string | null

  @Column({ type: 'bigint', name: 'applied_revision', default: 0, transformer: bigintNumber })
  appliedRevision!: number

  @Column({ type: 'timestamptz', name: 'last_report_at', nullable: true })
  lastReportAt!: Date | null

  @Column({ type: 'timestamptz', name: 'cordoned_at', nullable: true })
  cordonedAt!: Date | null

  @Column({ type: 'timestamptz', name: 'drain_started_at', nullable: true })
  drainStartedAt!: Date | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
