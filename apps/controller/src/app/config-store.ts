import { randomBytes } from 'node:crypto'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { CroftError } from '@croft/kit'
import { In, type DataSource, type EntityManager } from 'typeorm'
import { DATA_SOURCE } from '../tokens.js'
import { App } from './app.entity.js'
import { checkConfig, checkConfigSize, InvalidConfigVar, objectionToName } from './config-name.js'
import { ConfigVar, type ConfigScope } from './config-var.entity.js'
import type { Keyring } from './keyring.js'
import { KEYRING } from './keyring-token.js'
import { seal, unseal } from './seal.js'
import type { SealedValue } from './sealed-value.js'

/** Names the generation of an app's data key, in every value sealed with it. */
const DATA_KEY_ID = 'app-1'
const GENERATED_BYTES = 32

type SealedApp = Pick<App, 'id' | 'teamId' | 'dataKey'>

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

  /** Names, scopes and times, no values. */
  async list(app: App): Promise<{ name: string; scope: ConfigScope; updatedAt: Date }[]> {
    const rows = await this.dataSource.getRepository(ConfigVar).find({
      where: { appId: app.id, teamId: app.teamId },
      order: { name: 'ASC' },
    })
    return rows.map(({ name, scope, updatedAt }) => ({ name, scope, updatedAt }))
  }

  /** The sealed values that instances see as they are now, for a release: immutable from then on. */
  async snapshot(app: App, manager: EntityManager = this.dataSource.manager): Promise<Record<string, SealedValue>> {
    const rows = await this.#rows(app, manager)
    return sealedOf(rows.filter(({ scope }) => scope !== 'build'))
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

  /** The plain values as they are now, of every scope. @throws SealBroken */
  async openAll(app: App, manager: EntityManager = this.dataSource.manager): Promise<Record<string, string>> {
    return this.open(app, sealedOf(await this.#rows(app, manager)))
  }

  /** The plain values that builds see as they are now. @throws SealBroken */
  async openForBuild(app: SealedApp): Promise<Record<string, string>> {
    const rows = await this.#rows(app, this.dataSource.manager)
    return this.open(app, sealedOf(rows.filter(({ scope }) => scope !== 'run')))
  }

  /**
   * Sets and removes config vars, in the caller's transaction, which holds the app's lock. Gives the names that really changed, and
   * whether instances see any of it. Without a scope those that are there keep theirs, and new ones are for instances.
   * @throws InvalidConfigVar; SealBroken
   */
  async apply(
    manager: EntityManager,
    app: App,
    change: { set: Record<string, string>; unset: readonly string[]; scope?: ConfigScope | undefined },
  ): Promise<{ changed: string[]; forInstances: boolean }> {
    const { set, unset } = change
    checkConfig(set)
    const rows = await this.#rows(app, manager)
    const scopes = new Map(rows.map(({ name, scope }) => [name, scope]))
    const before = this.open(app, sealedOf(rows))
    const unknown = unset.filter((name) => !Object.hasOwn(before, name))
    if (unknown.length > 0) {
      throw new InvalidConfigVar(Object.fromEntries(unknown.map((name) => [name, 'is not set'])))
    }
    const after = { ...before, ...set }
    for (const name of unset) delete after[name]
    checkConfigSize(after)
    const key = this.keyring.openDataKey(app.id, app.dataKey)
    const scopeOf = (name: string): ConfigScope => change.scope ?? scopes.get(name) ?? 'run'
    const changed = Object.keys(set).filter(
      (name) => !Object.hasOwn(before, name) || before[name] !== set[name] || scopes.get(name) !== scopeOf(name),
    )
    for (const name of changed) {
      const value = seal(Buffer.from(set[name] ?? ''), key, DATA_KEY_ID, contextOf(app, name))
      await this.#write(manager, app, name, value, scopeOf(name))
    }
    await this.#remove(manager, app, unset)
    const wasForInstances = (name: string): boolean => (scopes.get(name) ?? 'build') !== 'build'
    return {
      changed: [...changed, ...unset],
      forInstances:
        unset.some(wasForInstances) || changed.some((name) => wasForInstances(name) || scopeOf(name) !== 'build'),
    }
  }

  /**
   * Gives each of the names that has no value yet a random one of 64 hexadecimal digits, in the caller's transaction, which holds
   * the app's lock. Names that no config var may have are passed over.
   */
  async generate(manager: EntityManager, app: App, names: readonly string[]): Promise<string[]> {
    const allowed = names.filter((name) => objectionToName(name) === undefined)
    if (allowed.length === 0) return []
    const before = new Set((await this.#rows(app, manager)).map(({ name }) => name))
    const missing = allowed.filter((name) => !before.has(name))
    if (missing.length === 0) return []
    const set = Object.fromEntries(missing.map((name) => [name, randomBytes(GENERATED_BYTES).toString('hex')]))
    return (await this.apply(manager, app, { set, unset: [] })).changed
  }

  /**
   * Sets config vars that a source gives: `defaults` where the app has none of that name, `synced` in any case; in the caller's
   * transaction, which holds the app's lock. Gives the names that changed. @throws InvalidConfigVar
   */
  async adopt(
    manager: EntityManager,
    app: App,
    { defaults, synced }: { defaults: Record<string, string>; synced: Record<string, string> },
  ): Promise<string[]> {
    if (Object.keys(defaults).length + Object.keys(synced).length === 0) return []
    const present = new Set((await this.#rows(app, manager)).map(({ name }) => name))
    const missing = Object.entries(defaults).filter(([name]) => !present.has(name))
    const set = { ...Object.fromEntries(missing), ...synced }
    return (await this.apply(manager, app, { set, unset: [] })).changed
  }

  /**
   * Makes a release's config the app's again, sealed as it is, in the caller's transaction, which holds the app's lock. Gives the
   * names that changed. What is for builds only stays as it is.
   */
  async restore(manager: EntityManager, app: App, config: Readonly<Record<string, SealedValue>>): Promise<string[]> {
    const rows = await this.#rows(app, manager)
    const forBuilds = new Set(rows.flatMap(({ name, scope }) => (scope === 'run' ? [] : [name])))
    const before = sealedOf(rows.filter(({ scope }) => scope !== 'build'))
    const changed = Object.keys(config).filter((name) => before[name]?.ciphertext !== config[name]?.ciphertext)
    const gone = Object.keys(before).filter((name) => !Object.hasOwn(config, name))
    for (const name of changed) {
      await this.#write(manager, app, name, config[name], forBuilds.has(name) ? 'both' : 'run')
    }
    await this.#remove(manager, app, gone)
    return [...changed, ...gone]
  }

  #rows(app: SealedApp, manager: EntityManager): Promise<ConfigVar[]> {
    return manager.getRepository(ConfigVar).find({
      where: { appId: app.id, teamId: app.teamId },
      order: { name: 'ASC' },
    })
  }

  async #write(
    manager: EntityManager,
    app: App,
    name: string,
    value: SealedValue | undefined,
    scope: ConfigScope,
  ): Promise<void> {
    await manager.query(
      `INSERT INTO config_var (app_id, name, team_id, value, scope) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (app_id, name) DO UPDATE SET value = excluded.value, scope = excluded.scope, updated_at = now()`,
      [app.id, name, app.teamId, JSON.stringify(value), scope],
    )
  }

  async #remove(manager: EntityManager, app: App, names: readonly string[]): Promise<void> {
    if (names.length > 0) await manager.getRepository(ConfigVar).delete({ appId: app.id, name: In([...names]) })
  }
}

function sealedOf(rows: readonly ConfigVar[]): Record<string, SealedValue> {
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}

function contextOf(app: Pick<App, 'id'>, name: string): string {
  return `croft/config/${app.id}/${name}`
}
