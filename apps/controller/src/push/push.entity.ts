import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm'
import type { AppId, PushId, TeamId } from '@croft/kit'
import type { PushOptions } from './push-options.js'
import type { PushState } from './push.machine.js'
import { Team } from '../team/team.entity.js'
import { App } from '../app/app.entity.js'

/** One ref update somebody asked for. Writer: push. */
@Entity({ name: 'push' })
@Index('push_app_id_idx', ['appId'])
export class Push {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: PushId

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'push_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'push_app_id_fkey' })
  appId!: AppId

  @Column({ type: 'text' })
  state!: PushState

  @Column({ type: 'text' })
  ref!: string

  @Column({ type: 'text', name: 'old_value' })
  oldValue!: string

  @Column({ type: 'text', name: 'new_value' })
  newValue!: string

  @Column({ type: 'text' })
  author!: string

  @Column({ type: 'text', nullable: true })
  reason!: string | null

  @Column({ type: 'text', nullable: true })
  message!: string | null

  @Column({ type: 'boolean', name: 'is_detached', default: false })
  isDetached!: boolean

  @Column({ type: 'jsonb' })
  options!: PushOptions

  @Column({ type: 'integer', name: 'release_version', nullable: true })
  releaseVersion!: number | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
