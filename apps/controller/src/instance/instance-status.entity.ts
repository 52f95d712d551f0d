import { Column, Entity, Index, PrimaryColumn } from 'typeorm'
import type { InstanceId, NodeId } from '@croft/kit'
import type { InstanceStatus, Observed } from '@croft/protocol'

/** What the owning node said last. Writer: node-sync. */
@Entity({ name: 'instance_status' })
@Index('instance_status_node_id_idx', ['nodeId'])
export class InstanceStatusRow {
  @PrimaryColumn({ type: 'uuid', name: 'instance_id' })
  instanceId!: InstanceId

  @Column({ type: 'uuid', name: 'node_id' })
  nodeId!: NodeId

  @Column({ type: 'text', name: 'boot_id' })
  bootId!: string

  @Column({ type: 'text' })
  observed!: Observed

  @Column({ type: 'jsonb' })
  status!: InstanceStatus

  @Column({ type: 'timestamptz', name: 'changed_at', default: () => 'now()' })
  changedAt!: Date
}
