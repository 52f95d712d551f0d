import { Column, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'
import { Team } from '../team/team.entity.js'
import { App } from '../app/app.entity.js'

/** Host and path prefix to app, beside the host every app has by its name. */
@Entity({ name: 'route' })
@Unique('route_host_path_prefix_key', ['host', 'pathPrefix'])
export class RouteRow {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: string

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'route_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  @ForeignKey(() => App, { name: 'route_app_id_fkey' })
  appId!: AppId

  @Column({ type: 'text' })
  host!: string

  @Column({ type: 'text', name: 'path_prefix', default: '/' })
  pathPrefix!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
