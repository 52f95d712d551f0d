import { Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm'
import type { TeamId } from '@croft/kit'
import type { SealedValue } from '../app/sealed-value.js'
import { Team } from '../team/team.entity.js'

/** What a team pulls from a foreign registry with; the password is sealed. Writer: image. */
@Entity({ name: 'registry_credential' })
export class RegistryCredential {
  @PrimaryColumn({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'registry_credential_team_id_fkey' })
  teamId!: TeamId

  /** Host and port, as in a reference. */
  @PrimaryColumn({ type: 'text' })
  host!: string

  @Column({ type: 'text' })
  username!: string

  @Column({ type: 'jsonb' })
  password!: SealedValue

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
