import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm'
import type { AppId, DeploymentId, PushId, ReleaseId, TeamId } from '@croft/kit'
import type { DeploymentState } from './deployment.machine.js'
import { bigintNumber } from '../db/bigint-number.js'
import { Team } from '../team/team.entity.js'
import { App } from '../app/app.entity.js'
import { Release } from '../release/release.entity.js'
import { Push } from '../push/push.entity.js'

/** One attempt to make a release the running one; at most one active per app. Writer: deployer. */
@Entity({ name: 'deployment' })
@Index('deployment_app_id_idx', ['appId'])
@Index('deployment_one_active_key', ['appId'], {
  unique: true,
  where: `state = ANY (ARRAY['pending'::text, 'releasing'::text, 'rolling'::text, 'reverting'::text])`,
})
export class Deployment {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: DeploymentId

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'deployment_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'deployment_app_id_fkey' })
  appId!: AppId

  @Column({ type: 'uuid', name: 'release_id' })
  @ForeignKey(() => Release, { name: 'deployment_release_id_fkey' })
  releaseId!: ReleaseId

  @Column({ type: 'integer', name: 'release_version' })
  releaseVersion!: number

  @Column({ type: 'integer', name: 'previous_version', nullable: true })
  previousVersion!: number | null

  @Column({ type: 'uuid', name: 'push_id', nullable: true })
  @ForeignKey(() => Push, { name: 'deployment_push_id_fkey' })
  pushId!: PushId | null

  @Column({ type: 'text' })
  state!: DeploymentState

  @Column({ type: 'text', nullable: true })
  reason!: string | null

  @Column({ type: 'text', nullable: true })
  message!: string | null

  /** Quantities by process type that are set when it succeeds; null leaves all as they are. */
  @Column({ type: 'jsonb', nullable: true })
  formation!: Record<string, number> | null

  @Column({ type: 'bigint', name: 'routed_revision', nullable: true, transformer: bigintNumber })
  routedRevision!: number | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date

  @Column({ type: 'timestamptz', name: 'ended_at', nullable: true })
  endedAt!: Date | null
}
