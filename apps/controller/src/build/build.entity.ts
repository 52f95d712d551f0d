import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm'
import type { AppId, BuildId, InstanceId, PushId, TeamId } from '@croft/kit'
import type { BuildResult } from '@croft/protocol'
import type { BuildReason, BuildState } from './build.machine.js'
import { Team } from '../team/team.entity.js'
import { App } from '../app/app.entity.js'
import { Push } from '../push/push.entity.js'

/** One build of one commit. The row exists before any worker hears of it. Writer: build. */
@Entity({ name: 'build' })
@Index('build_app_id_idx', ['appId'])
@Index('build_open_idx', ['createdAt'], { where: `state = ANY (ARRAY['queued'::text, 'running'::text])` })
export class Build {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: BuildId

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'build_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'build_app_id_fkey' })
  appId!: AppId

  @Column({ type: 'uuid', name: 'push_id', nullable: true })
  @ForeignKey(() => Push, { name: 'build_push_id_fkey' })
  pushId!: PushId | null

  @Column({ type: 'text' })
  state!: BuildState

  @Column({ type: 'text', default: '' })
  phase!: string

  @Column({ type: 'text', nullable: true })
  reason!: BuildReason | null

  @Column({ type: 'text', nullable: true })
  message!: string | null

  @Column({ type: 'text', nullable: true })
  suggestion!: string | null

  @Column({ type: 'text' })
  commit!: string

  @Column({ type: 'text' })
  tree!: string

  @Column({ type: 'text' })
  stack!: string

  @Column({ type: 'boolean', name: 'is_clean', default: false })
  isClean!: boolean

  /** Nothing is built: this image gets the present base image of its stack. Null for a build. */
  @Column({ type: 'text', name: 'rebased_from', nullable: true })
  rebasedFrom!: string | null

  @Column({ type: 'integer' })
  attempt!: number

  @Column({ type: 'timestamptz', name: 'lease_until', nullable: true })
  leaseUntil!: Date | null

  @Column({ type: 'uuid', name: 'instance_id', nullable: true })
  instanceId!: InstanceId | null

  @Column({ type: 'text', nullable: true })
  image!: string | null

  @Column({ type: 'jsonb', nullable: true })
  result!: BuildResult | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'started_at', nullable: true })
  startedAt!: Date | null

  @Column({ type: 'timestamptz', name: 'ended_at', nullable: true })
  endedAt!: Date | null
}
