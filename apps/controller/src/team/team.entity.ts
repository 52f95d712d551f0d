import { Column, Entity, PrimaryColumn, Unique } from 'typeorm'
import type { TeamId } from '@croft/kit'

/** A team owns apps; the first one is `main`. */
@Entity({ name: 'team' })
@Unique('team_name_key', ['name'])
export class Team {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: TeamId

  @Column({ type: 'text' })
  name!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
