import { Inject, Injectable } from '@nestjs/common'
import type { AppId, BuildId, Clock, PushId, TeamId } from '@croft/kit'
import type { BuildResult } from '@croft/protocol'
import type { DataSource } from 'typeorm'
import { App } from '../app/app.entity.js'
import { Signals } from '../db/signals.js'
import { CLOCK, DATA_SOURCE } from '../tokens.js'
import { BuildLog } from './build-log.js'
import { BuildRows, type NewBuild } from './build-rows.js'
import { BuildTurns } from './build-turns.js'
import { Build } from './build.entity.js'
import { buildMachine, type BuildReason } from './build.machine.js'
import { BuildNotFound } from './errors.js'

/** How often somebody who waits looks by himself, ms; a notification wakes him at once. */
const LOOK_EVERY_MS = 1_000
/** How often the end of log requests is looked for, ms. */
const LOG_LOOK_MS = 20
/** After the result, how long the last lines of the log may still be on their way, ms. */
const LAST_LINES_MS = 1_000
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** How a build ended. */
export type BuildEnd =
  | { kind: 'succeeded'; build: Build; result: Extract<BuildResult, { outcome: 'succeeded' }> }
  | { kind: 'failed'; build: Build; reason: BuildReason; message: string; suggestion: string }
  | { kind: 'canceled'; build: Build }

const ONCE_MORE = 'Building once more: what built it was restarted'

/** What others ask of builds: to make one, to wait for it, and what became of it. */
@Injectable()
export class BuildService {
  readonly #openLogs = new Map<BuildId, number>()

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(Signals) private readonly signals: Signals,
    @Inject(BuildRows) private readonly rows: BuildRows,
    @Inject(BuildTurns) private readonly turns: BuildTurns,
    @Inject(BuildLog) private readonly log: BuildLog,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Queues a build, which starts when its turn has come. */
  async create(wanted: NewBuild): Promise<Build> {
    return this.turns.queue(wanted)
  }

  /** Builds of an app, newest first. */
  async list(teamId: TeamId, appId: AppId, limit: number): Promise<Build[]> {
    return this.#builds().find({ where: { teamId, appId }, order: { createdAt: 'DESC', id: 'DESC' }, take: limit })
  }

  /** @throws BuildNotFound, also for a build of another app or team */
  async find(teamId: TeamId, appId: AppId, id: string): Promise<Build> {
    const isId = UUID.test(id)
    const build = isId ? await this.#builds().findOneBy({ teamId, appId, id: id as BuildId }) : null
    if (build === null) throw new BuildNotFound(id)
    return build
  }

  /** The newest build of an app that made this image. */
  async ofImage(appId: AppId, image: string): Promise<Build | null> {
    return this.#builds().findOne({ where: { appId, image }, order: { createdAt: 'DESC' } })
  }

  /** The newest build on a stack that made an image, of any app; a Dockerfile's and a builder image's stand on something else. */
  async newestOn(stack: string): Promise<Build | null> {
    return this.#builds()
      .createQueryBuilder('build')
      .where({ stack, state: 'succeeded' })
      .andWhere(`coalesce(build.result->>'builder', '') <> 'dockerfile' AND build.result->'builderImage' IS NULL`)
      .orderBy('build.createdAt', 'DESC')
      .limit(1)
      .getOne()
  }

  /**
   * Waits for the end of a build and hands on its log as it comes. An aborted signal cancels the build.
   */
  async wait(
    id: BuildId,
    options: { onLine: (line: string) => void; onWaiting?: (why: string) => void; signal: AbortSignal },
  ): Promise<BuildEnd> {
    const unfollow = this.log.follow(id, options.onLine)
    const waiter = this.signals.waiter((topic) => topic === `build ${id}`)
    let isCanceled = false
    let told = ''
    let attempt = 1
    try {
      for (;;) {
        if (options.signal.aborted && !isCanceled) {
          isCanceled = true
          await this.rows.cancel(id, 'the client left')
        }
        await this.rows.look(id)
        const build = await this.#builds().findOneByOrFail({ id })
        if (buildMachine.isFinal(build.state)) {
          await this.#lastLines(id)
          return endOf(build)
        }
        if (build.attempt > attempt) options.onWaiting?.(ONCE_MORE)
        attempt = build.attempt
        const why = await this.turns.waitsFor(build)
        if (why !== undefined && why !== told) options.onWaiting?.((told = why))
        await waiter.wait(LOOK_EVERY_MS, isCanceled ? undefined : options.signal)
      }
    } finally {
      waiter.close()
      unfollow()
      await this.log.close(id)
    }
  }

  /** Cancels a build that has not ended; its instance is stopped. True when this call ended it. */
  async cancel(id: BuildId, why: string): Promise<boolean> {
    return this.rows.cancel(id, why)
  }

  /** Cancels what was being built for a push. */
  async cancelOfPush(pushId: PushId, why: string): Promise<void> {
    return this.rows.cancelOfPush(pushId, why)
  }

  /** The build and the repository its source is in; for the executor. @throws BuildNotFound unless it runs */
  async runningSource(id: string): Promise<{ build: Build; app: App }> {
    const isId = UUID.test(id)
    const build = isId ? await this.#builds().findOneBy({ id: id as BuildId, state: 'running' }) : null
    if (build === null) throw new BuildNotFound(id)
    return { build, app: await this.dataSource.getRepository(App).findOneByOrFail({ id: build.appId }) }
  }

  /** The name of the folder a build is made of that was not pushed with git. */
  async folderOf({ pushId }: Build): Promise<string | undefined> {
    if (pushId === null) return undefined
    const [push] = await this.dataSource.query<{ folder: string | null }[]>(
      `SELECT options->>'folder' AS folder FROM push WHERE id = $1`,
      [pushId],
    )
    return push?.folder ?? undefined
  }

  /** A build that may still have something to say: not one that waits. @throws BuildNotFound */
  async loggable(id: string): Promise<Build> {
    const isId = UUID.test(id)
    const build = isId ? await this.#builds().findOneBy({ id: id as BuildId }) : null
    if (build === null || build.instanceId === null) throw new BuildNotFound(id)
    return build
  }

  /** Counts a log request, so that a build's last lines are waited for. */
  logOpened(id: BuildId): () => void {
    this.#openLogs.set(id, (this.#openLogs.get(id) ?? 0) + 1)
    return () => {
      const left = (this.#openLogs.get(id) ?? 1) - 1
      if (left > 0) this.#openLogs.set(id, left)
      else this.#openLogs.delete(id)
    }
  }

  async #lastLines(id: BuildId): Promise<void> {
    const end = this.clock.monotonic() + LAST_LINES_MS
    while (this.#openLogs.has(id) && this.clock.monotonic() < end) await this.clock.sleep(LOG_LOOK_MS)
    await this.log.settled(id)
  }

  #builds() {
    return this.dataSource.getRepository(Build)
  }
}

function endOf(build: Build): BuildEnd {
  if (build.state === 'succeeded' && build.result?.outcome === 'succeeded') {
    return { kind: 'succeeded', build, result: build.result }
  }
  if (build.state === 'canceled') return { kind: 'canceled', build }
  return {
    kind: 'failed',
    build,
    reason: build.reason ?? 'internal',
    message: build.message ?? 'the build failed',
    suggestion: build.suggestion ?? 'push again',
  }
}
