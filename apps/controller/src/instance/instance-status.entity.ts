import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm'
import type { InstanceId, NodeId } from '@croft/kit'
import type { InstanceStatus, Observed } from '@croft/protocol'
import { Instance } from './instance.entity.js'
import { Node } from '../node/node.entity.js'

/** What the owning node said last. Writer: node-sync. */
@Entity({ name: 'instance_status' })
@Index('instance_status_node_id_idx', ['nodeId'])
export class InstanceStatusRow {
  @PrimaryColumn({ type: 'uuid', name: 'instance_id' })
  @ForeignKey(() => Instance, { name: 'instance_status_instance_id_fkey' })
  instanceId!: InstanceId

  @Column({ type: 'uuid', name: 'node_id' })
  @ForeignKey(() => Node, { name: 'instance_status_node_id_fkey' })
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
