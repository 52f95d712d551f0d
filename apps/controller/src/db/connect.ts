import { CroftError, messageOf, waitFor, type Logger } from '@croft/kit'
import type { DataSource } from 'typeorm'

/** How long PostgreSQL may take to accept connections at our start, e.g. while it recovers. */
const CONNECT_TIMEOUT_MS = 60_000
/** Two controllers never migrate at the same time. */
const MIGRATION_LOCK = 0x63726f66

/**
 * Connects, waiting for PostgreSQL, and brings the schema up to date before anything serves.
 * @throws CroftError `database-unreachable`, or `schema-newer` when a newer Croft has been here.
 */
export async function connectAndMigrate(dataSource: DataSource, logger: Logger): Promise<DataSource> {
  let why = ''
  await waitFor(
    async () => {
      try {
        await dataSource.initialize()
        return true
      } catch (error) {
        if (messageOf(error) !== why) logger.info('waiting-for-database', { why: messageOf(error) })
        why = messageOf(error)
        return false
      }
    },
    { what: 'PostgreSQL', timeoutMs: CONNECT_TIMEOUT_MS, everyMs: 100 },
  ).catch((cause: unknown) => {
    throw new CroftError({
      code: 'database-unreachable',
      status: 503,
      title: 'PostgreSQL does not answer',
      detail: why,
      suggestion: 'look at its log below <home>/log, or check --database-url',
      cause,
    })
  })
  await migrate(dataSource, logger)
  return dataSource
}

async function migrate(dataSource: DataSource, logger: Logger): Promise<void> {
  await using lock = dataSource.createQueryRunner()
  await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
  try {
    await refuseNewerSchema(dataSource)
    const done = await dataSource.runMigrations({ transaction: 'all' })
    if (done.length > 0) logger.info('schema-migrated', { migrations: done.map((migration) => migration.name) })
  } finally {
    await lock.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK])
  }
}

async function refuseNewerSchema(dataSource: DataSource): Promise<void> {
  const known = new Set(dataSource.migrations.map((migration) => migration.name ?? migration.constructor.name))
  const [table] = await dataSource.query<{ exists: boolean }[]>(
    `SELECT to_regclass('migrations') IS NOT NULL AS exists`,
  )
  if (table?.exists !== true) return
  const applied = await dataSource.query<{ name: string }[]>('SELECT name FROM migrations ORDER BY id')
  const unknown = applied.filter((row) => !known.has(row.name)).map((row) => row.name)
  if (unknown.length === 0) return
  throw new CroftError({
    code: 'schema-newer',
    status: 500,
    title: 'the database was written by a newer Croft',
    detail: `it has migrations this version does not know: ${unknown.join(', ')}`,
    suggestion: 'start the newer version, or restore a backup made before the upgrade',
  })
}
