import { Column, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm'
import type { AppId, ReleaseId, TeamId } from '@croft/kit'
import type { HealthCheck, ProcessType } from '@croft/protocol'
import type { SealedValue } from '../app/sealed-value.js'
import { Team } from '../team/team.entity.js'
import { App } from '../app/app.entity.js'

/** What an app ran or was to run: immutable. Its status is derived from its deployment. Writer: release. */
@Entity({ name: 'release' })
@Unique('release_app_id_version_key', ['appId', 'version'])
export class Release {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: ReleaseId

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'release_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'release_app_id_fkey' })
  appId!: AppId

  @Column({ type: 'integer' })
  version!: number

  @Column({ type: 'text', nullable: true })
  image!: string | null

  @Column({ type: 'jsonb', name: 'process_types' })
  processTypes!: Record<string, ProcessType>

  @Column({ type: 'jsonb' })
  config!: Record<string, SealedValue>

  @Column({ type: 'jsonb' })
  checks!: Record<string, HealthCheck>

  @Column({ type: 'jsonb' })
  formation!: Record<string, number>

  @Column({ type: 'text', nullable: true })
  commit!: string | null

  @Column({ type: 'text' })
  description!: string

  @Column({ type: 'text' })
  author!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
