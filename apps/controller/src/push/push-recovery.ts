import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common'
import type { Logger } from '@croft/kit'
import type { DataSource } from 'typeorm'
import { App } from '../app/app.entity.js'
import { BuildService } from '../build/build.service.js'
import type { ControllerConfig } from '../config.js'
import { DeployService } from '../deploy/deploy.service.js'
import { CONFIG, DATA_SOURCE, LOGGER } from '../tokens.js'
import { closeLeftChannels } from './hook-channel.js'
import { PushRows } from './push-rows.js'
import type { Push } from './push.entity.js'
import { Repositories } from './repository.js'

const RESTARTED = 'the controller was restarted'

/** Pushes an earlier controller left: what was deployed is finished, everything before that is refused. */
@Injectable()
export class PushRecovery implements OnApplicationBootstrap {
  constructor(
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(PushRows) private readonly rows: PushRows,
    @Inject(Repositories) private readonly repositories: Repositories,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(DeployService) private readonly deploys: DeployService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Before anything serves. */
  async onApplicationBootstrap(): Promise<void> {
    await closeLeftChannels(`${this.config.run}/push`)
    for (const push of await this.rows.open()) {
      try {
        await this.#recover(push)
      } catch (error) {
        this.logger.error('push-not-recovered', { push: push.id, error })
      }
    }
  }

  /**
   * Moves the ref of a deployed push by compare-and-swap and makes it last. A ref that has another value already was moved by
   * somebody else: the push is refused.
   */
  async finish(push: Push): Promise<void> {
    const app = await this.dataSource.getRepository(App).findOneByOrFail({ id: push.appId, teamId: push.teamId })
    const repository = this.repositories.path(app.repositoryId)
    if (!(await this.repositories.moveRef(repository, push.ref, push.oldValue, push.newValue))) {
      return this.rows.move(push.id, 'refuse', { reason: 'ref-moved', message: `${push.ref} has another value` })
    }
    await this.repositories.settle(repository, push.ref)
    await this.rows.move(push.id, 'commit')
    this.logger.info('push-finished', { app: app.id, push: push.id })
  }

  async #recover(push: Push): Promise<void> {
    const deployment = push.state === 'accepted' ? await this.deploys.ofPush(push.appId, push.id) : null
    if (deployment?.state === 'succeeded') {
      // Its release runs already: only the note of it was lost.
      await this.rows.move(push.id, 'deploy', { releaseVersion: deployment.releaseVersion })
    } else if (push.state !== 'deployed') {
      if (deployment !== null) await this.deploys.cancel(deployment.id, RESTARTED)
      await this.builds.cancelOfPush(push.id, RESTARTED)
      return this.rows.move(push.id, 'refuse', { reason: 'interrupted', message: RESTARTED })
    }
    await this.finish(push)
  }
}
