import { Inject, Injectable } from '@nestjs/common'
import { CroftError, type AppId } from '@croft/kit'
import type { DataSource, EntityManager } from 'typeorm'
import { AppService } from '../app/app.service.js'
import type { App } from '../app/app.entity.js'
import { Formation } from '../app/formation.entity.js'
import type { Principal } from '../auth/principal.js'
import { bumpRevision } from '../db/revision.js'
import { notify } from '../db/signals.js'
import { EventService } from '../event/event.service.js'
import { DATA_SOURCE } from '../tokens.js'
import { NothingReleased } from './release.service.js'

/** The most instances one process type may have. */
export const MAX_QUANTITY = 500

/** A process type the app does not have. */
export class UnknownProcessType extends CroftError {
  constructor(app: string, type: string, known: readonly string[]) {
    super({
      code: 'process-type-unknown',
      status: 400,
      title: `${app} has no process type ${JSON.stringify(type.slice(0, 40))}`,
      detail: `its process types are ${known.join(', ')}`,
      fields: { [type.slice(0, 40)]: 'is not a process type' },
      suggestion: 'name one of these, or add it to the Procfile and push',
    })
  }
}

/** The writer of `formation`: how many instances of each process type run. No release is made of it. */
@Injectable()
export class FormationService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(EventService) private readonly events: EventService,
  ) {}

  async list(app: App, manager: EntityManager = this.dataSource.manager): Promise<Formation[]> {
    return manager
      .getRepository(Formation)
      .find({ where: { appId: app.id, teamId: app.teamId }, order: { type: 'ASC' } })
  }

  /**
   * Sets quantities; types that are not named stay as they are. The reconciler, or the deployer while one rolls, does the rest.
   * @throws AppNotFound, NothingReleased, UnknownProcessType
   */
  async scale(principal: Principal, name: string, quantities: Readonly<Record<string, number>>): Promise<Formation[]> {
    return this.dataSource.transaction(async (manager) => {
      const app = await this.apps.lock(manager, await this.apps.findInTeam(principal.teamId, name, manager))
      const known = (await this.list(app, manager)).map((row) => row.type)
      if (known.length === 0) throw new NothingReleased(app.name)
      for (const type of Object.keys(quantities)) {
        if (!known.includes(type)) throw new UnknownProcessType(app.name, type, known)
      }
      await this.set(manager, app.id, quantities)
      const message = `scaled to ${Object.entries(quantities)
        .map(([type, quantity]) => `${type}=${quantity}`)
        .join(' ')}`
      await this.events.append(
        { teamId: app.teamId, appId: app.id, kind: 'app-scaled', message, actor: principal.name },
        manager,
      )
      await notify(manager, `app ${app.id}`)
      await bumpRevision(manager, 'routes') // what an app without endpoints answers depends on it
      return this.list(app, manager)
    })
  }

  /** Sets quantities of types the app has a formation of, in the caller's transaction, which holds the app's lock. */
  async set(manager: EntityManager, appId: AppId, quantities: Readonly<Record<string, number>>): Promise<void> {
    for (const [type, quantity] of Object.entries(quantities)) {
      await manager.getRepository(Formation).update({ appId, type }, { quantity, updatedAt: () => 'now()' })
    }
  }
}
