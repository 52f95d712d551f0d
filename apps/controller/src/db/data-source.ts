import 'reflect-metadata'
import { DataSource } from 'typeorm'
import { entities } from './entities.js'
import { First1732180000000 } from './migrations/0001-first.js'
import { Rollback1764100000000 } from './migrations/0002-rollback.js'
import { RegistryCredentials1764110000000 } from './migrations/0003-registry-credentials.js'
import { Rebase1764130000000 } from './migrations/0004-rebase.js'
import { ConfigScope1764140000000 } from './migrations/0005-config-scope.js'

/** PostgreSQL by URL or by socket directory; `uuidv7()` needs PostgreSQL 18. Migrations run before anything serves. */
export function createDataSource(url: string): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities,
    migrations: [
      First1732180000000,
      Rollback1764100000000,
      RegistryCredentials1764110000000,
      Rebase1764130000000,
      ConfigScope1764140000000,
    ],
    migrationsTransactionMode: 'all',
    installExtensions: false,
    uuidExtension: 'pgcrypto',
    applicationName: 'croft-controller',
    poolSize: 10,
    extra: { statement_timeout: 15_000, keepAlive: true },
  })
}
