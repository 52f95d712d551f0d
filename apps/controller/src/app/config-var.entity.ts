import { Column, Entity, PrimaryColumn } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'
import type { SealedValue } from './sealed-value.js'

/** A config var, encrypted with the app's data key. */
@Entity({ name: 'config_var' })
export class ConfigVar {
  @PrimaryColumn({ type: 'uuid', name: 'app_id' })
  appId!: AppId

  @PrimaryColumn({ type: 'text' })
  name!: string

  @Column({ type: 'uuid', name: 'team_id' })
  teamId!: TeamId

  @Column({ type: 'jsonb' })
  value!: SealedValue

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
