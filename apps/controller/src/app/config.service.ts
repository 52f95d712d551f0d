import { Inject, Injectable } from '@nestjs/common'
import type { DeploymentId } from '@croft/kit'
import type { DataSource } from 'typeorm'
import type { Principal } from '../auth/principal.js'
import { DeployService } from '../deploy/deploy.service.js'
import { EventService } from '../event/event.service.js'
import { ReleaseService } from '../release/release.service.js'
import { DATA_SOURCE } from '../tokens.js'
import { AppService } from './app.service.js'
import { ConfigStore } from './config-store.js'
import type { ConfigScope } from './config-var.entity.js'

export interface ConfigChange {
  set: Record<string, string>
  unset: readonly string[]
  /** Who sees what is set; absent: whoever saw it before, and instances what is new. */
  scope?: ConfigScope | undefined
}

/** What a change of config vars did. */
export interface ConfigChanged {
  /** Names whose values are others now. */
  changed: string[]
  /** Whether instances see any of it; otherwise only builds do. */
  forInstances: boolean
  /** The release it made; null when no instance sees what changed, or nothing was released yet. */
  release: number | null
  /** The deployment of that release, which has only begun. */
  deployment: DeploymentId | null
}

/** Changes config vars: each change that instances see is one new release of what serves, without a build. */
@Injectable()
export class ConfigService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(ConfigStore) private readonly store: ConfigStore,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(DeployService) private readonly deploys: DeployService,
    @Inject(EventService) private readonly events: EventService,
  ) {}

  /**
   * Values, release and deployment are written in one transaction: all of it or nothing. While another release of the app rolls it is
   * refused, for a release made of what served before would take that one's code back.
   * @throws AppNotFound, InvalidConfigVar, DeploymentActive
   */
  async change(principal: Principal, name: string, change: ConfigChange): Promise<ConfigChanged> {
    return this.dataSource.transaction(async (manager) => {
      const app = await this.apps.lock(manager, await this.apps.findInTeam(principal.teamId, name, manager))
      const { changed, forInstances } = await this.store.apply(manager, app, change)
      if (changed.length === 0) return { changed, forInstances, release: null, deployment: null }
      const description = describe(change, changed)
      await this.events.append(
        { teamId: app.teamId, appId: app.id, kind: 'config-changed', message: description, actor: principal.name },
        manager,
      )
      if (app.currentRelease === null || !forInstances)
        return { changed, forInstances, release: null, deployment: null }
      const release = await this.releases.createFromCurrent(app, { description, author: principal.name }, manager)
      const deployment = await this.deploys.start(release, {}, manager)
      return { changed, forInstances, release: release.version, deployment: deployment.id }
    })
  }

  /** Plain values, all or one; that somebody saw them is written down. @throws AppNotFound, SealBroken */
  async reveal(principal: Principal, name: string, only?: string): Promise<Record<string, string>> {
    const app = await this.apps.findInTeam(principal.teamId, name)
    const values = await this.store.openAll(app)
    const shown = Object.entries(values).filter(([key]) => only === undefined || key === only)
    const message = `config vars were shown: ${shown.map(([key]) => key).join(', ') || 'none'}`
    await this.events.append({
      teamId: app.teamId,
      appId: app.id,
      kind: 'config-revealed',
      message,
      actor: principal.name,
    })
    return Object.fromEntries(shown)
  }
}

function describe(change: ConfigChange, changed: readonly string[]): string {
  const set = changed.filter((name) => !change.unset.includes(name))
  return [
    ...(set.length > 0 ? [`set ${set.join(', ')}`] : []),
    ...(change.unset.length > 0 ? [`unset ${change.unset.join(', ')}`] : []),
  ].join(', ')
}
