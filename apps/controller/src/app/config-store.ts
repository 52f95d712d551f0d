import { randomBytes } from 'node:crypto'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { CroftError } from '@croft/kit'
import type { DataSource, EntityManager } from 'typeorm'
import { DATA_SOURCE } from '../tokens.js'
import { App } from './app.entity.js'
import { checkConfig, checkConfigSize, InvalidConfigVar, objectionToName } from './config-name.js'
import { ConfigVar } from './config-var.entity.js'
import type { Keyring } from './keyring.js'
import { KEYRING } from './keyring-token.js'
import { seal, unseal } from './seal.js'
import type { SealedValue } from './sealed-value.js'

/** Names the generation of an app's data key, in every value sealed with it. */
const DATA_KEY_ID = 'app-1'
const GENERATED_BYTES = 32

/**
 * The writer of `config_var`. Every value is sealed with its app's data key for that app and that name, so that a row moved to
 * another app or another name is refused; the data key is sealed with a key of the key ring.
 */
@Injectable()
export class ConfigStore implements OnModuleInit {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(KEYRING) private readonly keyring: Keyring,
  ) {}

  /** Refuses to start with keys that cannot open what the database holds. */
  async onModuleInit(): Promise<void> {
    const rows = await this.dataSource.query<{ key_id: string }[]>(
      `SELECT DISTINCT data_key->>'keyId' AS key_id FROM app WHERE destroyed_at IS NULL`,
    )
    const missing = rows.map((row) => row.key_id).filter((keyId) => !this.keyring.has(keyId))
    if (missing.length === 0) return
    throw new CroftError({
      code: 'keys-missing',
      status: 500,
      title: 'the keys of the config vars are missing',
      detail: `the database holds values sealed with ${missing.join(', ')}`,
      suggestion: 'restore <home>/controller/keys from the backup that belongs to this database',
    })
  }

  /** Names and times, no values. */
  async list(app: App): Promise<{ name: string; updatedAt: Date }[]> {
    const rows = await this.dataSource.getRepository(ConfigVar).find({
      where: { appId: app.id, teamId: app.teamId },
      order: { name: 'ASC' },
    })
    return rows.map(({ name, updatedAt }) => ({ name, updatedAt }))
  }

  /** The sealed values as they are now, for a release: immutable from then on. */
  async snapshot(app: App, manager: EntityManager = this.dataSource.manager): Promise<Record<string, SealedValue>> {
    const rows = await manager.getRepository(ConfigVar).find({
      where: { appId: app.id, teamId: app.teamId },
      order: { name: 'ASC' },
    })
    return Object.fromEntries(rows.map((row) => [row.name, row.value]))
  }

  /** The plain values of a snapshot of this app. @throws SealBroken */
  open(app: Pick<App, 'id' | 'dataKey'>, sealed: Readonly<Record<string, SealedValue>>): Record<string, string> {
    const entries = Object.entries(sealed)
    if (entries.length === 0) return {}
    const key = this.keyring.openDataKey(app.id, app.dataKey)
    return Object.fromEntries(
      entries.map(([name, value]) => [
        name,
        unseal(value, key, contextOf(app, name), `config var ${name}`).toString('utf8'),
      ]),
    )
  }

  /** The plain values as they are now. @throws SealBroken */
  async openConfig(app: App, manager: EntityManager = this.dataSource.manager): Promise<Record<string, string>> {
    return this.open(app, await this.snapshot(app, manager))
  }

  /**
   * Sets and removes config vars, in the caller's transaction, which holds the app's lock. Gives the names that really changed.
   * @throws InvalidConfigVar; SealBroken
   */
  async apply(
    manager: EntityManager,
    app: App,
    set: Record<string, string>,
    unset: readonly string[],
  ): Promise<string[]> {
    checkConfig(set)
    const before = await this.openConfig(app, manager)
    const unknown = unset.filter((name) => !Object.hasOwn(before, name))
    if (unknown.length > 0) {
      throw new InvalidConfigVar(Object.fromEntries(unknown.map((name) => [name, 'is not set'])))
    }
    const after = { ...before, ...set }
    for (const name of unset) delete after[name]
    checkConfigSize(after)
    const key = this.keyring.openDataKey(app.id, app.dataKey)
    const changed = Object.keys(set).filter((name) => !Object.hasOwn(before, name) || before[name] !== set[name])
    for (const name of changed) {
      const value = seal(Buffer.from(set[name] ?? ''), key, DATA_KEY_ID, contextOf(app, name))
      await this.#write(manager, app, name, value)
    }
    for (const name of unset) await manager.getRepository(ConfigVar).delete({ appId: app.id, name })
    return [...changed, ...unset]
  }

  /**
   * Gives each of the names that has no value yet a random one of 64 hexadecimal digits, in the caller's transaction, which holds
   * the app's lock. Names that no config var may have are passed over.
   */
  async generate(manager: EntityManager, app: App, names: readonly string[]): Promise<string[]> {
    const allowed = names.filter((name) => objectionToName(name) === undefined)
    if (allowed.length === 0) return []
    const before = await this.snapshot(app, manager)
    const missing = allowed.filter((name) => !Object.hasOwn(before, name))
    const values = missing.map((name) => [name, randomBytes(GENERATED_BYTES).toString('hex')])
    return missing.length === 0
      ? []
      : this.apply(manager, app, Object.fromEntries(values) as Record<string, string>, [])
  }

  /**
   * Makes a release's config the app's again, sealed as it is, in the caller's transaction, which holds the app's lock. Gives the
   * names that changed.
   */
  async restore(manager: EntityManager, app: App, config: Readonly<Record<string, SealedValue>>): Promise<string[]> {
    const before = await this.snapshot(app, manager)
    const changed = Object.keys(config).filter((name) => before[name]?.ciphertext !== config[name]?.ciphertext)
    const gone = Object.keys(before).filter((name) => !Object.hasOwn(config, name))
    for (const name of changed) await this.#write(manager, app, name, config[name])
    for (const name of gone) await manager.getRepository(ConfigVar).delete({ appId: app.id, name })
    return [...changed, ...gone]
  }

  async #write(manager: EntityManager, app: App, name: string, value: SealedValue | undefined): Promise<void> {
    await manager.query(
      `INSERT INTO config_var (app_id, name, team_id, value) VALUES ($1, $2, $3, $4)
       ON CONFLICT (app_id, name) DO UPDATE SET value = excluded.value, updated_at = now()`,
      [app.id, name, app.teamId, JSON.stringify(value)],
    )
  }
}

function contextOf(app: Pick<App, 'id'>, name: string): string {
  return `croft/config/${app.id}/${name}`
}
