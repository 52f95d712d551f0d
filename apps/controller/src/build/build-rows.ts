import { Inject, Injectable } from '@nestjs/common'
import type { BuildId, InstanceId, Logger, PushId } from '@croft/kit'
import type { BuildResult, InstanceStatus } from '@croft/protocol'
import { In, MoreThan, type DataSource, type EntityManager } from 'typeorm'
import type { App } from '../app/app.entity.js'
import { notify } from '../db/signals.js'
import { DATA_SOURCE, LOGGER } from '../tokens.js'
import { BuildQueue } from './build.queue.js'
import { Build } from './build.entity.js'
import { buildMachine, type BuildReason } from './build.machine.js'

/** A running build whose node was not heard of for so long is interrupted, seconds. */
const LEASE_SECONDS = 30
const MAX_ATTEMPTS = 2

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

interface Failure {
  reason: BuildReason
  message: string
  suggestion: string
}

const INTERRUPTED: Failure = {
  reason: 'interrupted',
  message: 'the node that built was lost',
  suggestion: 'push again; croft status says how the executor is',
}

/** The rows of builds. Every change is one `UPDATE … WHERE state = …`. Writer: build. */
@Injectable()
export class BuildRows {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(BuildQueue) private readonly queue: BuildQueue,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Writes the row of a build that waits for its turn. */
  async insert(manager: EntityManager, wanted: NewBuild): Promise<Build> {
    const builds = manager.getRepository(Build)
    const row = await builds.insert({
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
    return builds.findOneByOrFail({ id })
  }

  /** Moves a queued build to `running` in its instance, in the transaction that inserts it. */
  async start(manager: EntityManager, build: Build, instanceId: InstanceId): Promise<void> {
    await manager.getRepository(Build).update(
      { id: build.id, state: In([...buildMachine.from('start')]) },
      {
        state: 'running',
        instanceId,
        startedAt: () => 'now()',
        leaseUntil: () => `now() + interval '${LEASE_SECONDS} seconds'`,
      },
    )
    await notify(manager, `build ${build.id}`)
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

  /** Fails a build that waited for memory in vain. */
  async giveUp(build: Build, { message, suggestion }: Pick<Failure, 'message' | 'suggestion'>): Promise<void> {
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

  async #finish(instanceId: InstanceId, result: BuildResult): Promise<void> {
    const build = await this.#builds().findOneBy({ instanceId, state: 'running' })
    if (build === null) return
    if (result.outcome === 'failed' && result.reason === 'interrupted') {
      const { reason, message, suggestion } = result
      return this.#interrupt(build.id, { reason, message, suggestion }, instanceId)
    }
    // of one that succeeded the control loop hears with the deployment, which goes before the end of the instance
    const isBuilt = result.outcome === 'succeeded'
    const told: unknown[] = await this.dataSource.query(
      `WITH ended AS (
         UPDATE build SET state = $3, image = $4, reason = $5, message = $6, suggestion = $7, result = $8, ended_at = now(), lease_until = NULL
         WHERE id = $1 AND state = 'running' AND instance_id = $2 RETURNING id, app_id)
       SELECT pg_notify('croft', 'build ' || id), CASE WHEN $3 = 'failed' THEN pg_notify('croft', 'app ' || app_id) END FROM ended`,
      [
        build.id,
        instanceId,
        isBuilt ? 'succeeded' : 'failed',
        isBuilt ? result.image : null,
        isBuilt ? null : result.reason,
        isBuilt ? null : result.message,
        isBuilt ? null : result.suggestion,
        JSON.stringify(result),
      ],
    )
    if (told.length === 1) this.#ended(build.id, result.outcome)
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

  #builds() {
    return this.dataSource.getRepository(Build)
  }
}

/** Wakes whoever waits for the build, and the reconciler: an instance whose build does not run in it is stopped. */
async function tellOf(manager: EntityManager, build: Build): Promise<void> {
  await notify(manager, `build ${build.id}`, `app ${build.appId}`)
}
