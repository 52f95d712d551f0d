import { Column, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'
import { Team } from '../team/team.entity.js'
import { App } from '../app/app.entity.js'

/** A custom domain of an app. */
@Entity({ name: 'domain' })
@Unique('domain_name_key', ['name'])
export class Domain {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: string

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'domain_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'domain_app_id_fkey' })
  appId!: AppId

  @Column({ type: 'text' })
  name!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
