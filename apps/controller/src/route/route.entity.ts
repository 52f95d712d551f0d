import { Column, Entity, PrimaryColumn, Unique } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'

/** Host and path prefix to app, beside the host every app has by its name. */
@Entity({ name: 'route' })
@Unique('route_host_path_prefix_key', ['host', 'pathPrefix'])
export class RouteRow {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: string

  @Column({ type: 'uuid', name: 'team_id' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  appId!: AppId

  @Column({ type: 'text' })
  host!: string

  @Column({ type: 'text', name: 'path_prefix', default: '/' })
  pathPrefix!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
