import { Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'
import type { InstanceLimits } from '@croft/protocol'
import { Team } from '../team/team.entity.js'
import { App } from './app.entity.js'

/** How many instances of a process type run, and how large each is. Written by `ps:scale` and `ps:resize`; no release. */
@Entity({ name: 'formation' })
export class Formation {
  @PrimaryColumn({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'formation_app_id_fkey' })
  appId!: AppId

  @PrimaryColumn({ type: 'text' })
  type!: string

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'formation_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'integer' })
  quantity!: number

  @Column({ type: 'jsonb' })
  limits!: InstanceLimits

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
