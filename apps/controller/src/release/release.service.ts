import { Inject, Injectable } from '@nestjs/common'
import { CroftError, type AppId, type PushId } from '@croft/kit'
import type { HealthCheck, ProcessType } from '@croft/protocol'
import type { DataSource, EntityManager } from 'typeorm'
import { AppService } from '../app/app.service.js'
import { App } from '../app/app.entity.js'
import { ConfigStore } from '../app/config-store.js'
import { Formation } from '../app/formation.entity.js'
import { EventService } from '../event/event.service.js'
import { DATA_SOURCE } from '../tokens.js'
import { Release } from './release.entity.js'
import { DEFAULT_LIMITS, hasTraffic, RELEASE_TYPE } from './service-spec.js'

export interface NewRelease {
  app: App
  /** Manifest digest. */
  image: string | null
  processTypes: Record<string, ProcessType>
  /** By process type. */
  checks?: Record<string, HealthCheck>
  /** Quantities for process types the app has no formation of yet; default web=1, others 0. */
  formation?: Record<string, number>
  commit?: string | null
  description: string
  author: string
  /** Config vars the image needs: those the app has none of get a random value, for good. */
  generatedConfig?: readonly string[]
  /** Config vars that the source gives: `defaults` where the app has none of that name, `synced` in any case. */
  givenConfig?: { defaults: Record<string, string>; synced: Record<string, string> }
  /** The push it comes from; for the log. */
  pushId?: PushId | null
}

/** No such release of that app. */
export class ReleaseNotFound extends CroftError {
  constructor(app: string, version: string) {
    super({
      code: 'release-not-found',
      status: 404,
      title: `${app} has no release ${version.slice(0, 40)}`,
      suggestion: `croft releases -a ${app} lists them`,
    })
  }
}

/** Nothing was ever released, so there is nothing to run, restart or scale. */
export class NothingReleased extends CroftError {
  constructor(app: string) {
    super({
      code: 'nothing-released',
      status: 409,
      title: `${app} has no release yet`,
      suggestion: 'push it first: git push croft main',
    })
  }
}

/** The writer of `release`: rows are inserted and never change. */
@Injectable()
export class ReleaseService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(ConfigStore) private readonly config: ConfigStore,
    @Inject(EventService) private readonly events: EventService,
  ) {}

  /**
   * Inserts the next release: the next number without a gap, the config as it is now, and a formation for every process type that
   * has none. Takes the app's row lock to the end of the transaction.
   * @throws AppNotFound when the app was destroyed
   */
  async create(input: NewRelease, manager?: EntityManager): Promise<Release> {
    if (manager === undefined) return this.dataSource.transaction((own) => this.create(input, own))
    const app = await this.apps.lock(manager, input.app)
    await this.#addFormation(app, input, manager)
    if (input.givenConfig !== undefined) await this.config.adopt(manager, app, input.givenConfig)
    await this.config.generate(manager, app, input.generatedConfig ?? [])
    const quantities = await manager.getRepository(Formation).find({ where: { appId: app.id }, order: { type: 'ASC' } })
    const [last] = await manager.query<{ version: number }[]>(
      'SELECT coalesce(max(version), 0) AS version FROM release WHERE app_id = $1',
      [app.id],
    )
    const version = (last?.version ?? 0) + 1
    await manager.getRepository(Release).insert({
      teamId: app.teamId,
      appId: app.id,
      version,
      image: input.image,
      processTypes: input.processTypes,
      config: await this.config.snapshot(app, manager),
      checks: input.checks ?? {},
      formation: Object.fromEntries(quantities.map((row) => [row.type, row.quantity])),
      commit: input.commit ?? null,
      description: input.description,
      author: input.author,
    })
    await this.events.append(
      {
        teamId: app.teamId,
        appId: app.id,
        kind: 'release-created',
        message: `v${version}: ${input.description}`,
        actor: input.author,
      },
      manager,
    )
    return manager.getRepository(Release).findOneByOrFail({ appId: app.id, version })
  }

  /**
   * A release of what serves now with the config as it is now, for changes of config vars and settings.
   * @throws NothingReleased
   */
  async createFromCurrent(
    app: App,
    input: { description: string; author: string },
    manager: EntityManager = this.dataSource.manager,
  ): Promise<Release> {
    const current = await this.current(app, manager)
    if (current === null) throw new NothingReleased(app.name)
    return this.create(
      {
        app,
        image: current.image,
        processTypes: current.processTypes,
        checks: current.checks,
        commit: current.commit,
        ...input,
      },
      manager,
    )
  }

  /** The release that serves, read now; null before the first. */
  async current(app: Pick<App, 'id'>, manager: EntityManager = this.dataSource.manager): Promise<Release | null> {
    const { currentRelease } = await manager.getRepository(App).findOneByOrFail({ id: app.id })
    if (currentRelease === null) return null
    return manager.getRepository(Release).findOneByOrFail({ appId: app.id, version: currentRelease })
  }

  /** A release by number, `v12` or `12`. @throws ReleaseNotFound */
  async find(app: App, version: string): Promise<Release> {
    const number = /^v?(\d{1,9})$/.exec(version)?.[1]
    const release =
      number === undefined
        ? null
        : await this.dataSource.getRepository(Release).findOneBy({ appId: app.id, version: Number(number) })
    if (release === null) throw new ReleaseNotFound(app.name, version)
    return release
  }

  /** Newest first. */
  async list(appId: AppId, limit: number): Promise<Release[]> {
    return this.dataSource.getRepository(Release).find({ where: { appId }, order: { version: 'DESC' }, take: limit })
  }

  async #addFormation(app: App, input: NewRelease, manager: EntityManager): Promise<void> {
    for (const type of Object.keys(input.processTypes)) {
      if (type === RELEASE_TYPE) continue
      const declared = input.formation !== undefined && Object.hasOwn(input.formation, type)
      const quantity = (declared ? input.formation?.[type] : undefined) ?? (hasTraffic(type) ? 1 : 0)
      await manager.query(
        `INSERT INTO formation (app_id, type, team_id, quantity, limits) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (app_id, type) DO NOTHING`,
        [app.id, type, app.teamId, quantity, JSON.stringify(DEFAULT_LIMITS)],
      )
    }
  }
}
