import { Inject, Injectable } from '@nestjs/common'
import { assertNever, CroftError } from '@croft/kit'
import { DEFAULT_STACK } from '@croft/stacks'
import type { DataSource } from 'typeorm'
import { AppService } from '../app/app.service.js'
import type { Principal } from '../auth/principal.js'
import { BuildService, type BuildEnd } from '../build/build.service.js'
import { PublishedImages } from '../image/published-images.js'
import type { Release } from '../release/release.entity.js'
import { NothingReleased, ReleaseService } from '../release/release.service.js'
import { DATA_SOURCE } from '../tokens.js'
import { DeployService } from './deploy.service.js'
import type { Deployment } from './deployment.entity.js'
import { DeploymentActive } from './errors.js'

/** An image that keeps its base. */
export class NotRebased extends CroftError {
  constructor(app: string, why: string, suggestion: string) {
    super({ code: 'not-rebased', status: 422, title: `${app} was not rebased: ${why}`, suggestion })
  }
}

export interface Rebase {
  /** Manifest digest. */
  image: string
  /** Null when the app stands on the present base image already. */
  deployment: Deployment | null
}

/** Puts the present base image under an app without a build, and deploys that as any other release. */
@Injectable()
export class RebaseService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(DeployService) private readonly deploys: DeployService,
    @Inject(PublishedImages) private readonly published: PublishedImages,
  ) {}

  /**
   * Returns when the deployment has begun: like any other it is taken back when the app does not become healthy.
   * @throws AppNotFound, NothingReleased, NotRebased, ImageNotPublished, DeploymentActive
   */
  async start(principal: Principal, name: string, signal: AbortSignal): Promise<Rebase> {
    const app = await this.apps.findInTeam(principal.teamId, name)
    const current = await this.releases.current(app)
    if (current === null || current.image === null) throw new NothingReleased(app.name)
    const build = await this.builds.create({
      app,
      pushId: null,
      commit: current.commit ?? '',
      tree: '',
      stack: (await this.builds.ofImage(app.id, current.image))?.stack ?? DEFAULT_STACK,
      isClean: false,
      rebasedFrom: current.image,
    })
    const image = imageOf(app.name, await this.builds.wait(build.id, { onLine: () => undefined, signal }))
    if (image === current.image) return { image, deployment: null }
    await this.published.publish(app.id, image, signal)
    return { image, deployment: await this.#release(principal, name, current, image) }
  }

  async #release(principal: Principal, name: string, current: Release, image: string): Promise<Deployment> {
    return this.dataSource.transaction(async (manager) => {
      const app = await this.apps.lock(manager, await this.apps.findInTeam(principal.teamId, name, manager))
      // what was rebased must still be what serves, or a newer release would be taken back by this one
      if (app.currentRelease !== current.version) throw new DeploymentActive(app.name, app.currentRelease ?? 0)
      const release = await this.releases.create(
        {
          app,
          image,
          processTypes: current.processTypes,
          checks: current.checks,
          commit: current.commit,
          description: `Rebase of v${current.version}`,
          author: principal.name,
        },
        manager,
      )
      return this.deploys.start(release, {}, manager)
    })
  }
}

function imageOf(app: string, end: BuildEnd): string {
  switch (end.kind) {
    case 'succeeded':
      return end.result.image
    case 'canceled':
      throw new NotRebased(app, 'it was canceled', `croft rebase -a ${app}`)
    case 'failed':
      throw new NotRebased(app, end.message, end.suggestion)
    default:
      return assertNever(end)
  }
}
