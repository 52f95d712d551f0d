import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'
import type { AppSettings } from './app-settings.js'
import type { SealedValue } from './sealed-value.js'
import { Team } from '../team/team.entity.js'

/** An app. A destroyed one keeps its row, so that its name stays in quarantine. */
@Entity({ name: 'app' })
@Index('app_live_name_key', ['name'], { unique: true, where: 'destroyed_at IS NULL' })
export class App {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: AppId

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'app_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'text' })
  name!: string

  @Column({ type: 'uuid', name: 'repository_id' })
  repositoryId!: string

  @Column({ type: 'jsonb', default: {} })
  settings!: AppSettings

  @Column({ type: 'jsonb', name: 'data_key' })
  dataKey!: SealedValue

  @Column({ type: 'integer', name: 'current_release', nullable: true })
  currentRelease!: number | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'destroyed_at', nullable: true })
  destroyedAt!: Date | null
}
