import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm'
import type { AppId, BuildId, InstanceId, NodeId, ReleaseId, TeamId } from '@croft/kit'
import type { InstanceLimits } from '@croft/protocol'
import { bigintNumber } from '../db/bigint-number.js'
import { Team } from '../team/team.entity.js'
import { App } from '../app/app.entity.js'
import { Release } from '../release/release.entity.js'
import { Build } from '../build/build.entity.js'
import { Node } from '../node/node.entity.js'

/** What is wanted: one process of one app, placed on one node. Writer: reconciler (`intent`, `nodeId`), deployer and build insert. */
@Entity({ name: 'instance' })
@Index('instance_app_id_idx', ['appId'])
@Index('instance_live_idx', ['nodeId'], { where: 'gone_at IS NULL' })
export class Instance {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: InstanceId

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'instance_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'instance_app_id_fkey' })
  appId!: AppId

  @Column({ type: 'text' })
  kind!: 'service' | 'build'

  @Column({ type: 'text' })
  type!: string

  @Column({ type: 'integer' })
  slot!: number

  @Column({ type: 'uuid', name: 'release_id', nullable: true })
  @ForeignKey(() => Release, { name: 'instance_release_id_fkey' })
  releaseId!: ReleaseId | null

  @Column({ type: 'integer', name: 'release_version', nullable: true })
  releaseVersion!: number | null

  @Column({ type: 'uuid', name: 'build_id', nullable: true })
  @ForeignKey(() => Build, { name: 'instance_build_id_fkey' })
  buildId!: BuildId | null

  @Column({ type: 'uuid', name: 'node_id', nullable: true })
  @ForeignKey(() => Node, { name: 'instance_node_id_fkey' })
  nodeId!: NodeId | null

  @Column({ type: 'text', name: 'placement_error', nullable: true })
  placementError!: string | null

  @Column({ type: 'text' })
  intent!: 'run' | 'drain' | 'stop'

  @Column({ type: 'jsonb' })
  limits!: InstanceLimits

  @Column({ type: 'bigint', name: 'drain_revision', nullable: true, transformer: bigintNumber })
  drainRevision!: number | null

  @Column({ type: 'timestamptz', name: 'drain_started_at', nullable: true })
  drainStartedAt!: Date | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'gone_at', nullable: true })
  goneAt!: Date | null
}
