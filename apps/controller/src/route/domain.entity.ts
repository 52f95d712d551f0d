import { Column, Entity, PrimaryColumn, Unique } from 'typeorm'
import type { AppId, TeamId } from '@croft/kit'

/** A custom domain of an app. */
@Entity({ name: 'domain' })
@Unique('domain_name_key', ['name'])
export class Domain {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: string

  @Column({ type: 'uuid', name: 'team_id' })
  teamId!: TeamId

  @Column({ type: 'uuid', name: 'app_id' })
  appId!: AppId

  @Column({ type: 'text' })
  name!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
