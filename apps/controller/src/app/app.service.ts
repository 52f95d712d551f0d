import { randomUUID } from 'node:crypto'
import { Inject, Injectable } from '@nestjs/common'
import type { AppId, TeamId } from '@croft/kit'
import { IsNull, QueryFailedError, type DataSource, type EntityManager } from 'typeorm'
import type { Principal } from '../auth/principal.js'
import { bumpRevision } from '../db/revision.js'
import { EventService } from '../event/event.service.js'
import { SettingsService } from '../settings/settings.service.js'
import type { Team } from '../team/team.entity.js'
import { TeamService } from '../team/team.service.js'
import { DATA_SOURCE } from '../tokens.js'
import { checkAppName, NameUnavailable } from './app-name.js'
import type { AppSettings } from './app-settings.js'
import { App } from './app.entity.js'
import { AppNotFound, NotConfirmed, TeamFull } from './errors.js'
import type { Keyring } from './keyring.js'
import { KEYRING } from './keyring-token.js'

/** Two living apps never have one name. */
const LIVE_NAME_KEY = 'app_live_name_key'

/** The writer of `app` (but for `current_release`, which is the deployer's): every look-up goes through a team. */
@Injectable()
export class AppService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(KEYRING) private readonly keyring: Keyring,
    @Inject(TeamService) private readonly teams: TeamService,
    @Inject(SettingsService) private readonly settings: SettingsService,
    @Inject(EventService) private readonly events: EventService,
  ) {}

  /** The living apps of a team by name. */
  async list(teamId: TeamId): Promise<App[]> {
    return this.dataSource.getRepository(App).find({ where: { teamId, destroyedAt: IsNull() }, order: { name: 'ASC' } })
  }

  /** The living app of that name in that team. @throws AppNotFound, also for an app of another team */
  async findInTeam(teamId: TeamId, name: string, manager: EntityManager = this.dataSource.manager): Promise<App> {
    const app = await manager.getRepository(App).findOneBy({ teamId, name, destroyedAt: IsNull() })
    if (app === null) throw new AppNotFound(name)
    return app
  }

  /**
   * Makes an app.
   * @throws InvalidAppName, NameUnavailable, TeamNotFound, TeamFull
   */
  async create(name: string, principal: Principal, wantedTeam?: string): Promise<App> {
    const team = await this.teams.choose(principal.teamId, wantedTeam)
    checkAppName(name)
    const limit = await this.settings.get('appsPerTeam')
    const quarantineDays = await this.settings.get('nameQuarantineDays')
    try {
      return await this.dataSource.transaction(async (manager) => {
        await this.#refuseQuarantined(manager, name, team, quarantineDays)
        await this.#refuseFull(manager, team, limit)
        const id = randomUUID() as AppId
        await manager.getRepository(App).insert({
          id,
          teamId: team.id,
          name,
          repositoryId: randomUUID(),
          settings: {},
          dataKey: this.keyring.mintDataKey(id),
        })
        const message = `${name} was created`
        await this.events.append(
          { teamId: team.id, appId: id, kind: 'app-created', message, actor: principal.name },
          manager,
        )
        await bumpRevision(manager, 'routes')
        return manager.getRepository(App).findOneByOrFail({ id })
      })
    } catch (error) {
      if (isTaken(error)) throw new NameUnavailable(name)
      throw error
    }
  }

  /**
   * The app somebody pushes to, made on the first push.
   * @throws as `create`; a name that belongs to another team is `name-unavailable`
   */
  async ensureForPush(name: string, principal: Principal, wantedTeam?: string): Promise<{ app: App; isNew: boolean }> {
    const team = await this.teams.choose(principal.teamId, wantedTeam)
    const existing = await this.dataSource
      .getRepository(App)
      .findOneBy({ teamId: team.id, name, destroyedAt: IsNull() })
    if (existing !== null) return { app: existing, isNew: false }
    try {
      return { app: await this.create(name, principal, wantedTeam), isNew: true }
    } catch (error) {
      if (!(error instanceof NameUnavailable)) throw error
      // Two first pushes at once: the other one made it.
      const made = await this.dataSource.getRepository(App).findOneBy({ teamId: team.id, name, destroyedAt: IsNull() })
      if (made === null) throw error
      return { app: made, isNew: false }
    }
  }

  /** Changes settings; a key given as null goes back to its default. The next release has them. @throws AppNotFound */
  async changeSettings(
    principal: Principal,
    name: string,
    changes: { [K in keyof AppSettings]?: AppSettings[K] | null | undefined },
  ): Promise<App> {
    return this.dataSource.transaction(async (manager) => {
      const app = await this.lock(manager, await this.findInTeam(principal.teamId, name, manager))
      const settings: Record<string, unknown> = { ...app.settings }
      for (const [key, value] of Object.entries(changes)) {
        if (value === null) delete settings[key]
        else if (value !== undefined) settings[key] = value
      }
      if (changes.buildpacks !== undefined || changes.builder !== undefined)
        settings['buildpacksChangedAt'] = new Date().toISOString()
      app.settings = settings
      await manager.getRepository(App).update({ id: app.id }, { settings: app.settings })
      const message = `settings changed: ${Object.keys(changes).join(', ')}`
      await this.events.append(
        { teamId: app.teamId, appId: app.id, kind: 'app-settings-changed', message, actor: principal.name },
        manager,
      )
      return app
    })
  }

  /**
   * Destroys an app: from here on it is found by nobody, its route is gone and the reconciler stops its instances. The row stays,
   * so that no other team can take the name for a while.
   * @throws AppNotFound, NotConfirmed
   */
  async destroy(principal: Principal, name: string, confirm: string | undefined): Promise<App> {
    return this.dataSource.transaction(async (manager) => {
      const app = await this.lock(manager, await this.findInTeam(principal.teamId, name, manager))
      if (confirm !== name) throw new NotConfirmed(name)
      await manager.getRepository(App).update({ id: app.id }, { destroyedAt: () => 'now()' })
      const message = `${name} was destroyed`
      await this.events.append(
        { teamId: app.teamId, appId: app.id, kind: 'app-destroyed', message, actor: principal.name },
        manager,
      )
      await bumpRevision(manager, 'routes')
      await manager.query(`SELECT pg_notify('croft', $1)`, [`app ${app.id}`])
      return app
    })
  }

  /** Locks the app's row for the rest of the transaction and reads it again: changes of one app happen one after the other. @throws AppNotFound */
  async lock(manager: EntityManager, app: App): Promise<App> {
    const locked = await manager.getRepository(App).findOne({
      where: { id: app.id, teamId: app.teamId, destroyedAt: IsNull() },
      lock: { mode: 'for_no_key_update' },
    })
    if (locked === null) throw new AppNotFound(app.name)
    return locked
  }

  async #refuseQuarantined(manager: EntityManager, name: string, team: Team, days: number): Promise<void> {
    const [row] = await manager.query<{ found: boolean }[]>(
      `SELECT EXISTS (SELECT FROM app WHERE name = $1 AND team_id <> $2
         AND destroyed_at > now() - make_interval(days => $3)) AS found`,
      [name, team.id, days],
    )
    if (row?.found === true) throw new NameUnavailable(name)
  }

  /** Counts under the team's row lock, so that two creates at once cannot both take the last place. */
  async #refuseFull(manager: EntityManager, team: Team, limit: number): Promise<void> {
    await manager.query('SELECT FROM team WHERE id = $1 FOR NO KEY UPDATE', [team.id])
    const count = await manager.getRepository(App).countBy({ teamId: team.id, destroyedAt: IsNull() })
    if (count >= limit) throw new TeamFull(team.name, limit)
  }
}

function isTaken(error: unknown): boolean {
  return (
    error instanceof QueryFailedError && (error.driverError as { constraint?: string }).constraint === LIVE_NAME_KEY
  )
}
