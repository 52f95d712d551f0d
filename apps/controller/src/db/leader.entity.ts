import { Column, Entity, PrimaryColumn } from 'typeorm'
import { bigintNumber } from './bigint-number.js'

/** Who may act, on the database clock; every takeover raises the term. */
@Entity({ name: 'leader' })
export class Leader {
  @PrimaryColumn({ type: 'text' })
  name!: string

  @Column({ type: 'bigint', default: 0, transformer: bigintNumber })
  term!: number

  @Column({ type: 'text' })
  holder!: string

  @Column({ type: 'timestamptz', name: 'expires_at' })
  expiresAt!: Date
}
