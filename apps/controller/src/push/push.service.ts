import { Inject, Injectable } from '@nestjs/common'
import { assertNever, CroftError, failpoint, type Logger, type PushId } from '@croft/kit'
import { appUrl } from '../addresses.js'
import type { ControllerConfig } from '../config.js'
import { CONFIG, LOGGER } from '../tokens.js'
import { Delivery } from './delivery.js'
import { BuiltRefused, LEFT, type PushJob } from './push-job.js'
import { PushLock } from './push-lock.js'
import { PushRecovery } from './push-recovery.js'
import { PushRows } from './push-rows.js'
import { pushMachine } from './push.machine.js'
import { isZero } from './receive-head.js'
import { branchOf } from './ref-policy.js'
import { asOfFolder, PushRefused, type Refusal } from './refusal.js'
import { Repositories } from './repository.js'

/**
 * A push from received to committed. It holds its app's lock from before the build until after its ref moved; its row says how
 * far it is, so that a controller that comes back finishes what was deployed and refuses the rest.
 */
@Injectable()
export class PushService {
  readonly #lock = new PushLock()
  /** How the push that holds a lock gives it back. */
  readonly #unlocks = new Map<PushId, () => void>()

  constructor(
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(PushRows) private readonly rows: PushRows,
    @Inject(Repositories) private readonly repositories: Repositories,
    @Inject(Delivery) private readonly delivery: Delivery,
    @Inject(PushRecovery) private readonly recovery: PushRecovery,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Folder of the fifos of a push. */
  channelFolder(id: PushId): string {
    return `${this.config.run}/push/${id}`
  }

  async newId(): Promise<PushId> {
    return this.rows.newId()
  }

  /** The objects passed the limits: from here on the push has a row. */
  async received(job: PushJob): Promise<void> {
    const { command, app } = job
    await this.rows.insert({
      id: job.id,
      teamId: app.teamId,
      appId: app.id,
      ...command,
      author: job.author,
      isDetached: job.options.detach === true,
      options: job.options,
    })
    this.logger.info('push-received', { app: app.id, push: job.id, ref: command.ref, commit: command.newValue })
    failpoint('push-received')
  }

  /**
   * Takes the lock, builds, releases and deploys. Resolves once the ref may move; then `committed` and `ended` must follow.
   * @throws PushRefused after the row says so and the client was told
   */
  async deploy(job: PushJob): Promise<void> {
    try {
      await this.#takeLock(job)
      await this.#accept(job)
      const release = await this.delivery.run(job)
      await this.rows.move(job.id, 'deploy', { releaseVersion: release.version })
      failpoint('push-deployed')
    } catch (error) {
      const refusal = this.refusalOf(job, error)
      job.output.failure(refusal, detailsOf(job, error))
      await this.#end(job, refusal)
      throw new PushRefused(refusal)
    }
  }

  /** The ref moved: makes it last, unless it does already, then says so. A push is acknowledged only after this. */
  async committed(job: PushJob, isSynced = false): Promise<void> {
    failpoint('ref-moved')
    await this.repositories.settle(job.repository, job.command.ref, isSynced)
    await this.rows.move(job.id, 'commit')
    failpoint('push-committed')
    const push = await this.rows.find(job.id)
    const address = appUrl(this.config, job.app.name)
    job.output.result(`Application deployed: v${push?.releaseVersion} in ${job.output.total}  ${address}`)
    this.logger.info('push-committed', { app: job.app.id, push: job.id, release: push?.releaseVersion })
    this.#unlock(job.id)
  }

  /** receive-pack ended: a push that was deployed but whose ref git did not move is finished here. Always gives the lock back. */
  async ended(job: PushJob): Promise<void> {
    try {
      const push = await this.rows.find(job.id)
      if (push?.state === 'deployed') await this.recovery.finish(push)
      else if (push !== null && !pushMachine.isFinal(push.state)) await this.#end(job, LEFT)
    } finally {
      this.#unlock(job.id)
    }
  }

  /** What is said to the pusher of a failure; one that nobody expected is logged. */
  refusalOf(job: Pick<PushJob, 'id' | 'app' | 'options'>, error: unknown): Refusal {
    const refusal = this.#refusalOf(job, error)
    return job.options.folder === undefined ? refusal : asOfFolder(refusal)
  }

  #refusalOf(job: Pick<PushJob, 'id' | 'app'>, error: unknown): Refusal {
    if (error instanceof PushRefused) return error.refusal
    if (error instanceof CroftError && error.kind === 'user') {
      return { reason: error.code, cause: error.message, suggestion: error.suggestion ?? 'correct it and push again' }
    }
    this.logger.error('push-failed', { push: job.id, app: job.app.id, error })
    return {
      reason: 'internal',
      cause: 'something went wrong inside Croft',
      suggestion: `push again; if it happens again, give push ${job.id} to whoever runs this platform`,
    }
  }

  async #takeLock(job: PushJob): Promise<void> {
    const answer = await this.#lock.acquire(
      job.app.id,
      { pushId: job.id, author: job.author },
      {
        signal: job.abandoned,
        onWait: (holder) => job.output.step(`Waiting for another push by ${holder.author} to end`),
      },
    )
    switch (answer.kind) {
      case 'held':
        this.#unlocks.set(job.id, answer.release)
        return
      case 'superseded':
        throw new PushRefused({
          reason: 'superseded',
          cause: `a newer push by ${answer.by.author} took the place of this one while it waited`,
          suggestion: 'git fetch croft to see what it brings, then push again if yours is still wanted',
        })
      case 'gave-up':
        throw new PushRefused(LEFT)
      default:
        assertNever(answer)
    }
  }

  async #accept(job: PushJob): Promise<void> {
    const { command } = job
    const present = await this.repositories.readRef(job.repository, command.ref)
    if ((present ?? '') !== (isZero(command.oldValue) ? '' : command.oldValue)) {
      const branch = branchOf(command.ref) ?? command.ref
      throw new PushRefused({
        reason: 'stale',
        cause: `${branch} has moved since this push began: another push was deployed first`,
        suggestion: `git fetch croft && git rebase croft/${branch}, then push again`,
      })
    }
    await this.rows.move(job.id, 'accept')
    failpoint('push-accepted')
  }

  async #end(job: PushJob, refusal: Refusal): Promise<void> {
    const event = refusal.reason === 'canceled' || refusal.reason === 'superseded' ? 'cancel' : 'refuse'
    try {
      await this.rows.move(job.id, event, { reason: refusal.reason, message: refusal.cause })
      this.logger.info('push-ended', { push: job.id, app: job.app.id, how: event, why: refusal.reason })
    } finally {
      this.#unlock(job.id)
    }
  }

  #unlock(id: PushId): void {
    this.#unlocks.get(id)?.()
    this.#unlocks.delete(id)
  }
}

/** Where there is more about a failure. */
function detailsOf(job: PushJob, error: unknown): string | undefined {
  if (!(error instanceof BuiltRefused)) return undefined
  const verb = error.buildId === null ? 'releases' : `builds:info ${error.buildId}`
  return `croft ${verb} -a ${job.app.name}`
}
