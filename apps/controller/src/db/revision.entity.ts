import { Column, Entity, PrimaryColumn } from 'typeorm'
import { bigintNumber } from './bigint-number.js'

/** A row-locked counter: bumped in the transaction that changes what its watchers see. */
@Entity({ name: 'revision' })
export class Revision {
  @PrimaryColumn({ type: 'text' })
  name!: string

  @Column({ type: 'bigint', default: 0, transformer: bigintNumber })
  value!: number
}
