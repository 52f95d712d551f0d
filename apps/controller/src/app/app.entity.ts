import { Column, Entity, PrimaryColumn, Unique } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'
import type { AppSettings } from './app-settings.js'
import type { SealedValue } from './sealed-value.js'

/** An app. A destroyed one keeps its row, so that its name stays in quarantine. */
@Entity({ name: 'app' })
@Unique('app_name_key', ['name'])
export class App {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: AppId

  @Column({ type: 'uuid', name: 'team_id' })
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
