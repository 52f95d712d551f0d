import { Column, Entity, PrimaryColumn } from 'typeorm'

/** A platform setting, and the list of destinations builds may reach (`egress`). */
@Entity({ name: 'setting' })
export class Setting {
  @PrimaryColumn({ type: 'text' })
  key!: string

  @Column({ type: 'jsonb' })
  value!: unknown

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
