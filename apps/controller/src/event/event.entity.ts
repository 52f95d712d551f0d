import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'
import { Team } from '../team/team.entity.js'
import { App } from '../app/app.entity.js'

/** What happened to an app, for people. Append-only. */
@Entity({ name: 'event' })
@Index('event_app_id_idx', ['appId'])
export class EventRow {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: string

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'event_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id', nullable: true })
  @ForeignKey(() => App, { name: 'event_app_id_fkey' })
  appId!: AppId | null

  @Column({ type: 'text' })
  kind!: string

  @Column({ type: 'text' })
  message!: string

  @Column({ type: 'text' })
  actor!: string

  @Column({ type: 'timestamptz', default: () => 'now()' })
  at!: Date
}
