import { Inject, Injectable } from '@nestjs/common'
import {
  failpoint,
  type AppId,
  type BuildId,
  type Clock,
  type InstanceId,
  type Logger,
  type PushId,
  type TeamId,
} from '@croft/kit'
import type { BuildResult, InstanceStatus } from '@croft/protocol'
import { In, IsNull, MoreThan, type DataSource, type EntityManager } from 'typeorm'
import { App } from '../app/app.entity.js'
import { Instance } from '../instance/instance.entity.js'
import { notify, Signals } from '../db/signals.js'
import { InstanceWriter } from '../instance/instance-writer.js'
import { SettingsService } from '../settings/settings.service.js'
import { CLOCK, DATA_SOURCE, LOGGER } from '../tokens.js'
import { admit, buildMemoryBytes, MAX_MEMORY_WAIT_MS, waitedTooLong, type Admission } from './admission.js'
import { BUILD_LIMITS, buildSlots } from './build-limits.js'
import { BuildLog } from './build-log.js'
import { readBuilderNodes, readLastStarts } from './builder-nodes.js'
import { BuildQueue } from './build.queue.js'
import { Build } from './build.entity.js'
import { buildMachine, type BuildReason } from './build.machine.js'
import { BuildNotFound } from './errors.js'
import { nextBuild, type OpenBuild } from './next-build.js'

/** A running build whose node was not heard of for so long is interrupted, seconds. */
const LEASE_SECONDS = 30
/** How often somebody who waits looks by himself, ms; a notification wakes him at once. */
const LOOK_EVERY_MS = 1_000
/** How often the end of log requests is looked for, ms. */
const LOG_LOOK_MS = 20
/** After the result, how long the last lines of the log may still be on their way, ms. */
const LAST_LINES_MS = 1_000
const MAX_ATTEMPTS = 2
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Counting and starting builds is one decision. */
const START_LOCK = 0x62756c64

export interface NewBuild {
  app: App
  pushId: PushId | null
  commit: string
  tree: string
  stack: string
  isClean: boolean
  /** The image that only gets another base image. */
  rebasedFrom?: string
}

/** How a build ended. */
export type BuildEnd =
  | { kind: 'succeeded'; build: Build; result: Extract<BuildResult, { outcome: 'succeeded' }> }
  | { kind: 'failed'; build: Build; reason: BuildReason; message: string; suggestion: string }
  | { kind: 'canceled'; build: Build }

interface Failure {
  reason: BuildReason
  message: string
  suggestion: string
}

const ROOM: Admission & { kind: 'room' } = { kind: 'room' }

const ONCE_MORE = 'Building once more: what built it was restarted'

const INTERRUPTED: Failure = {
  reason: 'interrupted',
  message: 'the node that built was lost',
  suggestion: 'push again; croft status says how the executor is',
}

/** The writer of `build`: a row first, then a worker hears of it. Every change is one `UPDATE … WHERE state = …`. */
@Injectable()
export class BuildService {
  readonly #openLogs = new Map<BuildId, number>()
  /** What was last found of the memory of the nodes. */
  #memory: Exclude<Admission, { kind: 'waits' }> | { kind: 'waits'; why: string; sinceMs: number } = ROOM

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(InstanceWriter) private readonly instances: InstanceWriter,
    @Inject(Signals) private readonly signals: Signals,
    @Inject(BuildQueue) private readonly queue: BuildQueue,
    @Inject(BuildLog) private readonly log: BuildLog,
    @Inject(SettingsService) private readonly settings: SettingsService,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Writes the row, then tells a worker; one that does not hear of it is woken by the sweeper. */
  async create(wanted: NewBuild): Promise<Build> {
    const row = await this.#builds().insert({
      teamId: wanted.app.teamId,
      appId: wanted.app.id,
      pushId: wanted.pushId,
      state: 'queued',
      commit: wanted.commit,
      tree: wanted.tree,
      stack: wanted.stack,
      isClean: wanted.isClean || (await this.#isCacheCleared(wanted.app)),
      rebasedFrom: wanted.rebasedFrom ?? null,
      attempt: 1,
    })
    const id = (row.identifiers[0] as { id: BuildId }).id
    this.logger.info('build-queued', { app: wanted.app.id, build: id, push: wanted.pushId })
    failpoint('build-queued')
    void this.queue.wake(id)
    return this.#builds().findOneByOrFail({ id })
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
          await this.cancel(id, 'the client left')
        }
        await this.look(id)
        const build = await this.#builds().findOneByOrFail({ id })
        if (buildMachine.isFinal(build.state)) {
          await this.#lastLines(id)
          return endOf(build)
        }
        if (build.attempt > attempt) options.onWaiting?.(ONCE_MORE)
        attempt = build.attempt
        const why = await this.#waitsFor(build)
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
    const isCanceled = await this.dataSource.transaction(async (manager) => {
      const build = await manager.getRepository(Build).findOneBy({ id })
      if (build === null) return false
      const { affected } = await manager
        .getRepository(Build)
        .update(
          { id, state: In([...buildMachine.from('cancel')]) },
          { state: 'canceled', message: why, endedAt: () => 'now()', leaseUntil: null },
        )
      if (affected !== 1) return false
      await tellOf(manager, build)
      return true
    })
    if (isCanceled) this.#ended(id, 'canceled')
    return isCanceled
  }

  /** Cancels what was being built for a push. */
  async cancelOfPush(pushId: PushId, why: string): Promise<void> {
    const open = await this.#builds().find({ where: { pushId, state: In(['queued', 'running']) } })
    for (const build of open) await this.cancel(build.id, why)
  }

  /**
   * Starts the queued build whose turn it is, when one may: `queued → running` with its instance, in one transaction. True
   * when it started one.
   */
  async startNext(): Promise<boolean> {
    const setMib = await this.settings.get('buildMemoryMib')
    const started = await this.dataSource.transaction(async (manager) => {
      await manager.query('SELECT pg_advisory_xact_lock($1)', [START_LOCK])
      const open = await manager.getRepository(Build).find({ where: { state: In(['queued', 'running']) } })
      const nodes = await readBuilderNodes(manager)
      const memoryBytes = buildMemoryBytes(setMib, nodes)
      const queued = open.filter((build) => build.state === 'queued')
      const running = open.filter((build) => build.state === 'running')
      const slots = buildSlots(nodes)
      if (running.length >= slots) return undefined
      const isNeeded = queued.some((build) => build.rebasedFrom === null)
      const admission = isNeeded ? admit(memoryBytes, nodes) : ROOM
      this.#remember(admission, running.length > 0)
      const teams = new Set(queued.map((build) => build.teamId))
      const id = nextBuild(
        // a rebase writes two documents and needs none
        queued.filter((build) => admission.kind === 'room' || build.rebasedFrom !== null).map(openBuild),
        running.map(openBuild),
        slots,
        teams.size > 1 ? await readLastStarts(manager) : new Map(),
      )
      const build = open.find((candidate) => candidate.id === id)
      if (build === undefined) return undefined
      const app = await manager.getRepository(App).findOneByOrFail({ id: build.appId, teamId: build.teamId })
      const instance = await this.instances.insertBuild(manager, {
        app,
        build,
        limits: { ...BUILD_LIMITS, memoryBytes },
      })
      await manager.getRepository(Build).update(
        { id: build.id, state: In([...buildMachine.from('start')]) },
        {
          state: 'running',
          instanceId: instance.id,
          startedAt: () => 'now()',
          leaseUntil: () => `now() + interval '${LEASE_SECONDS} seconds'`,
        },
      )
      await tellOf(manager, build)
      return build
    })
    if (started === undefined) {
      await this.#giveUp()
      return false
    }
    this.logger.info('build-started', { app: started.appId, build: started.id, attempt: started.attempt })
    return true
  }

  /** Remembers since when builds wait for memory that no other build will free. */
  #remember(admission: Admission, isBuilding: boolean): void {
    const sinceMs = this.#memory.kind === 'waits' && !isBuilding ? this.#memory.sinceMs : this.clock.monotonic()
    this.#memory = admission.kind === 'waits' ? { ...admission, sinceMs } : admission
  }

  /** Fails the builds that wait for memory in vain. */
  async #giveUp(): Promise<void> {
    const memory = this.#memory
    if (memory.kind === 'room') return
    const isOver = memory.kind === 'never' || this.clock.monotonic() - memory.sinceMs > MAX_MEMORY_WAIT_MS
    if (!isOver) return
    const { message, suggestion } = memory.kind === 'never' ? memory : waitedTooLong(memory.why)
    for (const build of await this.#builds().findBy({ state: 'queued', rebasedFrom: IsNull() })) {
      const { affected } = await this.dataSource.transaction(async (manager) => {
        const change = { state: 'failed' as const, reason: 'out-of-memory' as const, message, suggestion }
        const update = await manager
          .getRepository(Build)
          .update({ id: build.id, state: 'queued' }, { ...change, endedAt: () => 'now()' })
        await tellOf(manager, build)
        return update
      })
      if (affected === 1) this.#ended(build.id, 'failed')
    }
  }

  /** Reads what the node last said of a running build and ends the build when it ended there; harmless to repeat. */
  async look(id: BuildId): Promise<void> {
    const reported: { status: InstanceStatus }[] = await this.dataSource.query(
      `SELECT s.status FROM build b JOIN instance_status s ON s.instance_id = b.instance_id
       WHERE b.id = $1 AND b.state = 'running'`,
      [id],
    )
    for (const { status } of reported) await this.#heard(status)
  }

  async #heard(status: InstanceStatus): Promise<void> {
    const instanceId = status.id as InstanceId
    if (status.build !== null) return this.#finish(instanceId, status.build)
    if (status.observed !== 'exited') return
    await this.#finish(instanceId, {
      outcome: 'failed',
      reason: status.reason === 'out-of-memory' ? 'out-of-memory' : 'internal',
      message: status.message ?? `the build ended without a result (${status.reason ?? 'no reason given'})`,
      suggestion: 'push again; if it happens again, the log of the executor says more',
    })
  }

  /** One pass over running builds: renews leases, reads results nobody announced, interrupts what was lost. For the sweeper. */
  async sweepRunning(): Promise<void> {
    await this.dataSource.query(
      `UPDATE build SET lease_until = now() + make_interval(secs => $1)
       FROM instance i LEFT JOIN node n ON n.id = i.node_id
       WHERE build.instance_id = i.id AND build.state = 'running' AND i.gone_at IS NULL
         AND (i.node_id IS NULL OR n.last_report_at > now() - make_interval(secs => $1))`,
      [LEASE_SECONDS],
    )
    for (const { id } of await this.#builds().find({ where: { state: 'running' }, select: { id: true } })) {
      await this.look(id)
    }
    const lost: { id: BuildId }[] = await this.dataSource.query(
      `SELECT id FROM build WHERE state = 'running' AND lease_until < now()`,
    )
    for (const { id } of lost) await this.#interrupt(id, INTERRUPTED)
  }

  /** Queued builds, for the sweeper to wake. */
  async queuedIds(): Promise<BuildId[]> {
    const queued = await this.#builds().find({ where: { state: 'queued' }, select: { id: true } })
    return queued.map((build) => build.id)
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

  async #finish(instanceId: InstanceId, result: BuildResult): Promise<void> {
    const build = await this.#builds().findOneBy({ instanceId, state: 'running' })
    if (build === null) return
    if (result.outcome === 'failed' && result.reason === 'interrupted') {
      const { reason, message, suggestion } = result
      return this.#interrupt(build.id, { reason, message, suggestion }, instanceId)
    }
    const { affected } = await this.dataSource.transaction(async (manager) => {
      const change =
        result.outcome === 'succeeded'
          ? { state: 'succeeded' as const, image: result.image, result }
          : {
              state: 'failed' as const,
              reason: result.reason,
              message: result.message,
              suggestion: result.suggestion,
              result,
            }
      const update = await manager
        .getRepository(Build)
        .update({ id: build.id, state: 'running', instanceId }, { ...change, endedAt: () => 'now()', leaseUntil: null })
      if (update.affected === 1) await tellOf(manager, build)
      return update
    })
    if (affected === 1) this.#ended(build.id, result.outcome)
  }

  /** Its node is lost, or its executor was restarted: queued once more when somebody still wants it, else failed. */
  async #interrupt(id: BuildId, failure: Failure, instanceId?: InstanceId): Promise<void> {
    const state = await this.dataSource.transaction(async (manager) => {
      const build = await manager.getRepository(Build).findOne({
        where: { id, state: 'running', ...(instanceId !== undefined && { instanceId }) },
        lock: { mode: 'pessimistic_write' },
      })
      if (build === null || build.leaseUntil === null) return undefined
      const isWanted = build.attempt < MAX_ATTEMPTS && (await this.#isWanted(manager, build))
      await manager
        .getRepository(Build)
        .update(
          { id, state: 'running' },
          isWanted
            ? { state: 'queued', attempt: build.attempt + 1, instanceId: null, leaseUntil: null, phase: '' }
            : { state: 'failed', ...failure, endedAt: () => 'now()', leaseUntil: null },
        )
      await tellOf(manager, build)
      return isWanted ? 'queued' : 'failed'
    })
    if (state === undefined) return
    this.logger.warn('build-interrupted', { build: id, now: state })
    if (state === 'failed') return this.#ended(id, 'failed')
    void this.queue.wake(id)
  }

  /** Whether no build of the app succeeded since its caches were cleared. */
  async #isCacheCleared({ id, settings }: App): Promise<boolean> {
    const { cacheClearedAt } = settings
    if (cacheClearedAt === undefined) return false
    const since = MoreThan(new Date(cacheClearedAt))
    return !(await this.#builds().existsBy({ appId: id, state: 'succeeded', createdAt: since }))
  }

  async #isWanted(manager: EntityManager, build: Build): Promise<boolean> {
    if (build.pushId === null) return true
    const rows: { state: string }[] = await manager.query('SELECT state FROM push WHERE id = $1', [build.pushId])
    return rows[0]?.state === 'accepted'
  }

  #ended(id: BuildId, how: string): void {
    this.logger.info('build-ended', { build: id, how })
    void this.queue.wake(id) // whoever waits for the place
  }

  async #lastLines(id: BuildId): Promise<void> {
    const end = this.clock.monotonic() + LAST_LINES_MS
    while (this.#openLogs.has(id) && this.clock.monotonic() < end) await this.clock.sleep(LOG_LOOK_MS)
    await this.log.settled(id)
  }

  /** Why nothing happens yet, for whoever waits; undefined while it builds. */
  async #waitsFor(build: Build): Promise<string | undefined> {
    if (build.state === 'queued') {
      const running = await this.#builds().countBy({ state: 'running' })
      if (running > 0) return `Waiting for ${running} other ${running === 1 ? 'build' : 'builds'} to end`
      return this.#memory.kind === 'waits' && build.rebasedFrom === null ? `Waiting for ${this.#memory.why}` : undefined
    }
    if (build.instanceId === null) return undefined
    const instance = await this.dataSource.getRepository(Instance).findOneBy({ id: build.instanceId })
    const error = instance?.nodeId === null ? instance.placementError : null
    return error === null ? undefined : `Waiting: ${error}`
  }

  #builds() {
    return this.dataSource.getRepository(Build)
  }
}

/** Wakes whoever waits for the build, and the reconciler: an instance whose build does not run in it is stopped. */
async function tellOf(manager: EntityManager, build: Build): Promise<void> {
  await notify(manager, `build ${build.id}`)
  await notify(manager, `app ${build.appId}`)
}

function openBuild(build: Build): OpenBuild {
  return { id: build.id, teamId: build.teamId, appId: build.appId, createdAt: build.createdAt.getTime() }
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
