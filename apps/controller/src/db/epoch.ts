import { randomUUID } from 'node:crypto'
import type { DataSource } from 'typeorm'

/** Identity of this database, made once: with another one, revisions of before mean nothing. */
export async function databaseEpoch(dataSource: DataSource): Promise<string> {
  await dataSource.query(`INSERT INTO setting (key, value) VALUES ('epoch', $1) ON CONFLICT (key) DO NOTHING`, [
    JSON.stringify(randomUUID()),
  ])
  const [row] = await dataSource.query<{ value: string }[]>(`SELECT value FROM setting WHERE key = 'epoch'`)
  if (row === undefined) throw new Error('the row of the epoch is missing')
  return row.value
}
