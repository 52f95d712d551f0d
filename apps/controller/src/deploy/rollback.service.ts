import { Inject, Injectable } from '@nestjs/common'
import { CroftError } from '@croft/kit'
import type { DataSource, EntityManager } from 'typeorm'
import type { App } from '../app/app.entity.js'
import { AppService } from '../app/app.service.js'
import { ConfigStore } from '../app/config-store.js'
import type { Principal } from '../auth/principal.js'
import { EventService } from '../event/event.service.js'
import { FormationService } from '../release/formation.service.js'
import { ROLLBACK_RELEASES } from '../release/kept-releases.js'
import type { Release } from '../release/release.entity.js'
import { NothingReleased, ReleaseService } from '../release/release.service.js'
import { rollbackFormation } from '../release/rollback-formation.js'
import { RELEASE_TYPE } from '../release/service-spec.js'
import { DATA_SOURCE } from '../tokens.js'
import { DeployService } from './deploy.service.js'
import { Deployment } from './deployment.entity.js'

/** There is nothing to go back to. */
export class NoFormerRelease extends CroftError {
  constructor(app: string, current: number) {
    super({
      code: 'no-former-release',
      status: 409,
      title: `${app} has no release before v${current} that served`,
      suggestion: `croft releases -a ${app} lists them`,
    })
  }
}

/** The release somebody wants back serves already, never served, or is so old that its image is gone. */
export class CannotRollBack extends CroftError {
  constructor(app: string, version: number, why: 'serves' | 'never-served' | 'too-old') {
    const titles = {
      serves: 'serves already',
      'never-served': 'never served',
      'too-old': 'is too old: its image is gone',
    }
    super({
      code: `release-${why}`,
      status: 409,
      title: `v${version} of ${app} ${titles[why]}`,
      suggestion: `croft releases -a ${app} lists the newer ones; those of the last ${ROLLBACK_RELEASES} that served can come back`,
    })
  }
}

export interface RollbackWish {
  /** `v12` or `12`; without it the newest one before the present release that served. */
  release?: string | undefined
  /** Its quantities come back too. */
  withFormation: boolean
}

/** Makes an older release the running one again: its image, process types, checks and config as a new release, without a build. */
@Injectable()
export class RollbackService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(ConfigStore) private readonly config: ConfigStore,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(FormationService) private readonly formation: FormationService,
    @Inject(DeployService) private readonly deploys: DeployService,
    @Inject(EventService) private readonly events: EventService,
  ) {}

  /**
   * The release and its deployment begin in one transaction. The app's config vars become those of the older release; quantities
   * change only once the deployment has succeeded.
   * @throws AppNotFound, NothingReleased, ReleaseNotFound, NoFormerRelease, CannotRollBack, DeploymentActive
   */
  async start(principal: Principal, name: string, wish: RollbackWish): Promise<Deployment> {
    return this.dataSource.transaction(async (manager) => {
      const app = await this.apps.lock(manager, await this.apps.findInTeam(principal.teamId, name, manager))
      const target = await this.#target(manager, app, wish.release)
      const changed = await this.config.restore(manager, app, target.config)
      if (changed.length > 0) {
        const message = `back to v${target.version}: ${changed.join(', ')}`
        await this.events.append(
          { teamId: app.teamId, appId: app.id, kind: 'config-changed', message, actor: principal.name },
          manager,
        )
      }
      const release = await this.releases.create(
        {
          app,
          image: target.image,
          processTypes: target.processTypes,
          checks: target.checks,
          commit: target.commit,
          description: `Rollback to v${target.version}`,
          author: principal.name,
        },
        manager,
      )
      const present = await this.formation.list(app, manager)
      const quantities = rollbackFormation({
        present: Object.fromEntries(present.map((row) => [row.type, row.quantity])),
        types: Object.keys(target.processTypes).filter((type) => type !== RELEASE_TYPE),
        former: wish.withFormation ? target.formation : null,
      })
      return this.deploys.start(release, { formation: quantities }, manager)
    })
  }

  async #target(manager: EntityManager, app: App, wanted: string | undefined): Promise<Release> {
    const current = app.currentRelease
    if (current === null) throw new NothingReleased(app.name)
    const served = await manager.query<{ version: number }[]>(
      `SELECT DISTINCT release_version AS version FROM deployment
       WHERE app_id = $1 AND state = 'succeeded' ORDER BY version DESC`,
      [app.id],
    )
    const versions = served.map(({ version }) => version)
    if (wanted === undefined) {
      const version = versions.find((candidate) => candidate < current)
      if (version === undefined) throw new NoFormerRelease(app.name, current)
      return this.releases.find(app, String(version))
    }
    const target = await this.releases.find(app, wanted)
    if (target.version === current) throw new CannotRollBack(app.name, current, 'serves')
    if (!versions.includes(target.version)) throw new CannotRollBack(app.name, target.version, 'never-served')
    if (versions.indexOf(target.version) >= ROLLBACK_RELEASES)
      throw new CannotRollBack(app.name, target.version, 'too-old')
    return target
  }
}
