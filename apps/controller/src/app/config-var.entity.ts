import { Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'
import type { SealedValue } from './sealed-value.js'
import { Team } from '../team/team.entity.js'
import { App } from './app.entity.js'

/** Who sees a config var: instances, builds, or both of them. */
export const CONFIG_SCOPES = ['run', 'build', 'both'] as const
export type ConfigScope = (typeof CONFIG_SCOPES)[number]

/** A config var, encrypted with the app's data key. */
@Entity({ name: 'config_var' })
export class ConfigVar {
  @PrimaryColumn({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'config_var_app_id_fkey' })
  appId!: AppId

  @PrimaryColumn({ type: 'text' })
  name!: string

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'config_var_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'jsonb' })
  value!: SealedValue

  @Column({ type: 'text', default: 'run' })
  scope!: ConfigScope

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
