import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import type { Clock, Logger } from '@croft/kit'
import type { DataSource } from 'typeorm'
import { CLOCK, DATA_SOURCE, LOGGER } from '../tokens.js'
import { Repositories } from './repository.js'
import { tidyRepository } from './tidy-repository.js'

/** After a start others have more to do, ms. */
const FIRST_MS = 60 * 60_000
const EVERY_MS = 24 * 60 * 60_000

/** Keeps the repositories of all apps small, one after the other, once a day. */
@Injectable()
export class RepositoryUpkeep implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(Repositories) private readonly repositories: Repositories,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.#running = this.#run()
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort(new Error('the controller ends'))
    await this.#running
  }

  /** One pass over all apps there are. */
  async tidy(): Promise<void> {
    const { signal } = this.#stop
    const apps = await this.dataSource.query<{ repository: string; commits: string[] }[]>(
      `SELECT app.repository_id AS repository,
         coalesce(array_agg(DISTINCT release.commit) FILTER (WHERE release.commit IS NOT NULL), '{}') AS commits
       FROM app LEFT JOIN release ON release.app_id = app.id WHERE app.destroyed_at IS NULL GROUP BY app.id`,
    )
    for (const { repository, commits } of apps) {
      if (signal.aborted) return
      if (!(await this.repositories.exists(repository))) continue
      try {
        await tidyRepository(this.repositories.path(repository), commits, signal)
      } catch (error) {
        if (!signal.aborted) this.logger.warn('repository-not-tidied', { repository, error })
      }
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    for (let waitMs = FIRST_MS; ; waitMs = EVERY_MS) {
      await this.clock.sleep(waitMs, signal).catch(() => undefined)
      if (signal.aborted) return
      try {
        await this.tidy()
      } catch (error) {
        this.logger.error('repositories-not-tidied', { error })
      }
    }
  }
}
