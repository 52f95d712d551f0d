import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { CroftError, type Clock, type DeploymentId, type Digest, type Logger } from '@croft/kit'
import { AppService } from '../app/app.service.js'
import type { App } from '../app/app.entity.js'
import { principalOf, type Principal } from '../auth/principal.js'
import { DeployService } from '../deploy/deploy.service.js'
import { DeploymentActive } from '../deploy/errors.js'
import { EventService } from '../event/event.service.js'
import { ReleaseService } from '../release/release.service.js'
import type { DataSource } from 'typeorm'
import { CLOCK, DATA_SOURCE, LOGGER } from '../tokens.js'
import { processesOf } from './image-process.js'
import { ImageImport, type ImportedImage } from './image-import.js'
import { ManifestStore } from './manifest-store.js'
import { PublishedImages } from './published-images.js'
import { TeamAccess } from './registry-access.js'

/** A pushed image waits so long for another deployment of its app to end, ms. */
const WAIT_FOR_TURN_MS = 15 * 60_000
const RETRY_MS = 500
/** The tag whose push deploys, where the app wants that. */
const DEPLOYED_TAG = 'latest'

export interface ImageDeployment {
  image: Digest
  release: number
  deployment: DeploymentId
  warnings: string[]
}

/** Makes an image that Croft did not build a release: one that somebody names, or one that was pushed. */
@Injectable()
export class ImageDeployService implements OnModuleInit {
  /** What was pushed last to each app: an older one that still waits is not deployed any more. */
  readonly #pushedLast = new Map<string, Digest>()

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(ImageImport) private readonly images: ImageImport,
    @Inject(ManifestStore) private readonly manifests: ManifestStore,
    @Inject(PublishedImages) private readonly published: PublishedImages,
    @Inject(TeamAccess) private readonly access: TeamAccess,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(DeployService) private readonly deploys: DeployService,
    @Inject(EventService) private readonly events: EventService,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.access.pushed = async (repository, tag, digest, request) => {
      if (tag !== DEPLOYED_TAG) return
      const principal = principalOf(request)
      const app = await this.apps.findInTeam(principal.teamId, repository.name)
      if (app.settings.deployOnPush === true) void this.#deployPushed(principal, app, digest)
    }
  }

  /**
   * Pulls an image and begins its deployment.
   * @throws AppNotFound, ImageNotPulled, ImageUnusable, ImageNotPublished, DeploymentActive
   */
  async deploy(
    principal: Principal,
    name: string,
    wish: { image: string; port?: number | undefined },
    signal: AbortSignal,
  ): Promise<ImageDeployment> {
    const app = await this.apps.findInTeam(principal.teamId, name)
    const image = await this.images.import(principal, app, wish.image, signal)
    await this.published.publish(app.id, image.digest, signal)
    return this.#release(principal, app, image, { description: `Deploy ${wish.image.slice(0, 200)}`, port: wish.port })
  }

  async #release(
    principal: Principal,
    app: App,
    image: ImportedImage,
    wish: { description: string; port?: number | undefined },
  ): Promise<ImageDeployment> {
    const { processTypes, warnings } = processesOf(image.config, { port: wish.port, nodeArch: process.arch })
    return this.dataSource.transaction(async (manager) => {
      const release = await this.releases.create(
        { app, image: image.digest, processTypes, description: wish.description, author: principal.name },
        manager,
      )
      const deployment = await this.deploys.start(release, {}, manager)
      return { image: image.digest, release: release.version, deployment: deployment.id, warnings }
    })
  }

  /** Whoever pushed has his answer already: what becomes of it is an event. */
  async #deployPushed(principal: Principal, app: App, digest: Digest): Promise<void> {
    const until = this.clock.monotonic() + WAIT_FOR_TURN_MS
    this.#pushedLast.set(app.id, digest)
    try {
      const stored = await this.manifests.find(app.id, digest)
      if (stored === undefined) return
      const image = await this.images.check(app.id, stored)
      await this.published.publish(app.id, image.digest)
      while (this.#pushedLast.get(app.id) === digest) {
        try {
          await this.#release(principal, app, image, { description: `Push of ${digest.slice(0, 19)}` })
          return
        } catch (error) {
          if (!(error instanceof DeploymentActive) || this.clock.monotonic() > until) throw error
        }
        await this.clock.sleep(RETRY_MS)
      }
    } catch (error) {
      const why = error instanceof CroftError ? error.message : 'something went wrong'
      this.logger.warn('pushed-image-not-deployed', { app: app.id, image: digest, why, error })
      await this.events
        .append({
          teamId: app.teamId,
          appId: app.id,
          kind: 'image-refused',
          message: `${digest.slice(0, 19)} was not deployed: ${why}`,
          actor: principal.name,
        })
        .catch((cause: unknown) => this.logger.error('event-lost', { app: app.id, error: cause }))
    }
  }
}
