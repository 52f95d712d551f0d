import { silentLogger } from '@croft/kit'
import { connectAndMigrate, createDataSource } from '@croft/controller'
import type { DataSource } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testDatabase, type TestDatabase } from './support/database.js'

/** Tables that belong to the platform and not to any team. */
const PLATFORM_TABLES = [
  'instance_status', // its instance has the team
  'leader',
  'migrations',
  'node',
  'revision',
  'router',
  'setting',
  'team',
]

describe('the schema', () => {
  let database: TestDatabase
  let dataSource: DataSource
  beforeAll(async () => {
    database = await testDatabase()
    dataSource = await connectAndMigrate(createDataSource(database.databaseUrl), silentLogger)
  })
  afterAll(async () => {
    await dataSource?.destroy()
    await database?.close()
  })

  it('of the migrations is the one the entities describe', async () => {
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log()
    expect(upQueries.map((query) => query.query)).toEqual([])
  })

  it('has a team_id that is never null in every table of a tenant, and it refers to a team', async () => {
    const tables = await dataSource.query<{ table_name: string; is_nullable: string | null; refers: boolean }[]>(`
      SELECT t.table_name, c.is_nullable, EXISTS (
        SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = t.table_name::regclass
          AND confrelid = 'team'::regclass) AS refers
      FROM information_schema.tables t
      LEFT JOIN information_schema.columns c ON c.table_name = t.table_name AND c.table_schema = 'public' AND c.column_name = 'team_id'
      WHERE t.table_schema = 'public' ORDER BY 1`)
    const tenant = tables.filter((table) => !PLATFORM_TABLES.includes(table.table_name))
    expect(tenant.length).toBeGreaterThan(10)
    expect(tenant.filter((table) => table.is_nullable !== 'NO' || !table.refers)).toEqual([])
  })

  it('refers with every id column to the row it names', async () => {
    const loose = await dataSource.query<{ column: string }[]>(`
      SELECT c.table_name || '.' || c.column_name AS column
      FROM information_schema.columns c
      WHERE c.table_schema = 'public' AND c.column_name IN
        ('team_id','app_id','release_id','build_id','push_id','node_id')
        AND NOT EXISTS (
          SELECT FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
          WHERE k.contype = 'f' AND k.conrelid = c.table_name::regclass AND a.attname = c.column_name)`)
    expect(loose).toEqual([])
  })

  it('migrates once, however often it is asked', async () => {
    const again = await connectAndMigrate(createDataSource(database.databaseUrl), silentLogger)
    const rows = await again.query<unknown[]>('SELECT name FROM migrations')
    const known = again.migrations.length
    await again.destroy()
    expect(rows).toHaveLength(known)
  })

  it('of a newer Croft is refused with what to do', async () => {
    const url = await database.another()
    const old = await connectAndMigrate(createDataSource(url), silentLogger)
    await old.query(`INSERT INTO migrations (timestamp, name) VALUES (9999999999999, 'Later9999999999999')`)
    await old.destroy()
    const refused = createDataSource(url)
    await expect(connectAndMigrate(refused, silentLogger)).rejects.toMatchObject({ code: 'schema-newer' })
    await refused.destroy()
  })
})
