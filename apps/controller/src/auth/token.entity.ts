import { Column, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm'
import type { TeamId } from '@croft/kit'
import { Team } from '../team/team.entity.js'

/** An API or git token: only its SHA-256 is kept. The operator token of the host is a row of role `operator`. */
@Entity({ name: 'token' })
@Unique('token_sha256_key', ['sha256'])
export class Token {
  @PrimaryColumn({ type: 'uuid', default: () => 'uuidv7()' })
  id!: string

  @Column({ type: 'uuid', name: 'team_id' })
  @ForeignKey(() => Team, { name: 'token_team_id_fkey' })
  teamId!: TeamId

  @Column({ type: 'text' })
  role!: 'operator' | 'owner' | 'developer' | 'viewer' | 'machine'

  @Column({ type: 'text' })
  sha256!: string

  @Column({ type: 'text' })
  description!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'expires_at', nullable: true })
  expiresAt!: Date | null

  @Column({ type: 'timestamptz', name: 'last_used_at', nullable: true })
  lastUsedAt!: Date | null

  @Column({ type: 'timestamptz', name: 'revoked_at', nullable: true })
  revokedAt!: Date | null
}
