import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common'
import { CroftError, failpoint, type Clock, type Logger, type PushId } from '@croft/kit'
import { In, type DataSource } from 'typeorm'
import { App } from '../app/app.entity.js'
import { appUrl } from '../addresses.js'
import { BuildService, type BuildEnd } from '../build/build.service.js'
import type { ControllerConfig } from '../config.js'
import { DeployService } from '../deploy/deploy.service.js'
import { DeploymentActive } from '../deploy/errors.js'
import type { Deployment } from '../deploy/deployment.entity.js'
import type { Release } from '../release/release.entity.js'
import { ReleaseService, type NewRelease } from '../release/release.service.js'
import { CLOCK, CONFIG, DATA_SOURCE, LOGGER } from '../tokens.js'
import type { AppManifest } from './app-manifest.js'
import { closeLeftChannels } from './hook-channel.js'
import { PushLock } from './push-lock.js'
import type { PushOptions } from './push-options.js'
import type { PushOutput } from './push-output.js'
import { Push } from './push.entity.js'
import { pushMachine } from './push.machine.js'
import { isZero, type RefCommand } from './receive-head.js'
import { branchOf } from './ref-policy.js'
import { PushRefused, type Refusal } from './refusal.js'
import { Repositories } from './repository.js'

/** One ref on its way from received to committed. */
export interface PushJob {
  id: PushId
  app: App
  author: string
  repository: string
  command: RefCommand
  options: PushOptions
  manifest: AppManifest
  output: PushOutput
  /** Aborted when the client left and did not ask to be left alone. */
  abandoned: AbortSignal
}

type Change = Parameters<ReturnType<DataSource['getRepository']>['update']>[1]
type MachineEvent = Parameters<typeof pushMachine.next>[1]

/** What is released: an image, and how to run it. */
interface Built {
  image: string
  processTypes: NewRelease['processTypes']
  /** Null when the image of the running release is used again. */
  buildId: string | null
}

/** While another deployment of the app is under way, ms. */
const RETRY_MS = 250

const LEFT: Refusal = { reason: 'canceled', cause: 'the client left', suggestion: 'push again' }

/**
 * The writer of `push` and of git refs. A push holds its app's lock from before the build until after its ref moved; its row
 * says how far it is, so that a controller that comes back finishes what was deployed and refuses the rest.
 */
@Injectable()
export class PushService implements OnApplicationBootstrap {
  readonly #lock = new PushLock()
  /** How the push that holds a lock gives it back. */
  readonly #unlocks = new Map<PushId, () => void>()

  constructor(
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(Repositories) private readonly repositories: Repositories,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(DeployService) private readonly deploys: DeployService,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Folder of the fifos of a push. */
  channelFolder(id: PushId): string {
    return `${this.config.run}/push/${id}`
  }

  async newId(): Promise<PushId> {
    const rows: { id: PushId }[] = await this.dataSource.query('SELECT uuidv7() AS id')
    const id = rows[0]?.id
    if (id === undefined) throw new Error('PostgreSQL gave no id')
    return id
  }

  /** The objects passed the limits: from here on the push has a row. */
  async received(job: PushJob): Promise<void> {
    await this.#pushes().insert({
      id: job.id,
      teamId: job.app.teamId,
      appId: job.app.id,
      state: 'received',
      ref: job.command.ref,
      oldValue: job.command.oldValue,
      newValue: job.command.newValue,
      author: job.author,
      isDetached: job.options.detach === true,
      options: job.options,
    })
    this.logger.info('push-received', {
      app: job.app.id,
      push: job.id,
      ref: job.command.ref,
      commit: job.command.newValue,
    })
    failpoint('push-received')
  }

  /**
   * Takes the lock, builds, releases and deploys. Resolves once the ref may move; then `committed` or `ended` must follow.
   * @throws PushRefused after the row says so
   */
  async deploy(job: PushJob): Promise<void> {
    try {
      await this.#takeLock(job)
      await this.#accept(job)
      await this.#run(job)
    } catch (error) {
      const refusal = this.#refusalOf(job, error)
      await this.#end(job, refusal)
      throw new PushRefused(refusal)
    }
  }

  /** The ref moved: makes it last, then says so. A push is acknowledged only after this. */
  async committed(job: PushJob): Promise<void> {
    failpoint('ref-moved')
    await this.repositories.sync(job.repository)
    await this.#move(job.id, 'commit', {})
    failpoint('push-committed')
    await this.repositories.setHead(job.repository, job.command.ref)
    const push = await this.#pushes().findOneByOrFail({ id: job.id })
    const address = appUrl(this.config, job.app.name)
    job.output.result(`Application deployed: v${push.releaseVersion} in ${job.output.total}  ${address}`)
    this.#unlock(job.id)
  }

  /** receive-pack ended: a push that was deployed but whose ref git did not move is finished here. Always gives the lock back. */
  async ended(job: PushJob): Promise<void> {
    try {
      const push = await this.#pushes().findOneBy({ id: job.id })
      if (push?.state === 'deployed') await this.#finish(push)
      else if (push !== null && !pushMachine.isFinal(push.state)) await this.#end(job, LEFT)
    } finally {
      this.#unlock(job.id)
    }
  }

  /** Before anything serves: what an earlier controller left is finished or refused. */
  async onApplicationBootstrap(): Promise<void> {
    await closeLeftChannels(`${this.config.run}/push`)
    const open = await this.#pushes().find({
      where: { state: In(['received', 'accepted', 'deployed']) },
      order: { id: 'ASC' },
    })
    for (const push of open) {
      try {
        await this.#recover(push)
      } catch (error) {
        this.logger.error('push-not-recovered', { push: push.id, error })
      }
    }
  }

  async #recover(push: Push): Promise<void> {
    const deployment = push.state === 'accepted' ? await this.deploys.ofPush(push.appId, push.id) : null
    if (deployment?.state === 'succeeded') {
      // Its release runs already: only the note of it was lost.
      await this.#move(push.id, 'deploy', { releaseVersion: deployment.releaseVersion })
    } else if (push.state !== 'deployed') {
      if (deployment !== null) await this.deploys.cancel(deployment.id, 'the controller was restarted')
      await this.builds.cancelOfPush(push.id, 'the controller was restarted')
      await this.#move(push.id, 'refuse', { reason: 'interrupted', message: 'the controller was restarted' })
      return
    }
    await this.#finish(push)
  }

  /** Moves the ref of a deployed push by compare-and-swap. */
  async #finish(push: Push): Promise<void> {
    const app = await this.dataSource.getRepository(App).findOneByOrFail({ id: push.appId, teamId: push.teamId })
    const repository = this.repositories.path(app.repositoryId)
    const hasMoved = await this.repositories.moveRef(repository, push.ref, push.oldValue, push.newValue)
    if (!hasMoved) {
      await this.#move(push.id, 'refuse', { reason: 'ref-moved', message: `${push.ref} has another value` })
      return
    }
    await this.repositories.sync(repository)
    await this.#move(push.id, 'commit', {})
    await this.repositories.setHead(repository, push.ref)
    this.logger.info('push-finished', { app: app.id, push: push.id })
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
    await this.#move(job.id, 'accept', {})
    failpoint('push-accepted')
  }

  async #run(job: PushJob): Promise<void> {
    const { output } = job
    const built = (await this.#reused(job)) ?? (await this.#build(job))
    failpoint('build-succeeded')
    if (job.abandoned.aborted) throw new PushRefused(LEFT)
    const release = await this.releases.create({
      app: job.app,
      image: built.image,
      processTypes: built.processTypes,
      checks: job.manifest.checks,
      formation: job.manifest.formation,
      commit: job.command.newValue,
      description: `Push ${job.command.newValue.slice(0, 7)}`,
      author: job.author,
      pushId: job.id,
    })
    failpoint('release-created')
    output.step(`Releasing v${release.version}`)
    const deployment = await this.#start(job, release)
    const end = await this.deploys.wait(deployment.id, { onLine: (line) => output.line(line), signal: job.abandoned })
    if (end.state === 'canceled') throw new PushRefused({ ...LEFT, cause: 'the deployment was canceled' })
    if (end.state === 'failed') {
      for (const line of end.lastLines) output.detail(line)
      throw new DeployFailed({ reason: 'deployment', cause: end.cause, suggestion: end.suggestion }, built)
    }
    failpoint('deployment-succeeded')
    await this.#move(job.id, 'deploy', { releaseVersion: release.version })
    failpoint('push-deployed')
  }

  /** Starts the deployment once no other one of the app is under way, for example after `config:set`. */
  async #start(job: PushJob, release: Release): Promise<Deployment> {
    let hasSaid = false
    for (;;) {
      try {
        return await this.deploys.start(release, { pushId: job.id })
      } catch (error) {
        if (!(error instanceof DeploymentActive)) throw error
        if (!hasSaid) job.output.detail(`waiting: ${error.title}`)
        hasSaid = true
      }
      if (job.abandoned.aborted) throw new PushRefused(LEFT)
      await this.clock.sleep(RETRY_MS, job.abandoned).catch(() => undefined)
    }
  }

  /** The image of the running release when it was made of the same tree, and nobody asked for a build. */
  async #reused(job: PushJob): Promise<Built | undefined> {
    if (job.options.rebuild === true) return undefined
    const running = await this.releases.current(job.app)
    if (running === null || running.image === null || running.commit === null) return undefined
    if (!(await this.#isSameTree(job, running.commit)) || !(await this.#isSameStack(job, running.image)))
      return undefined
    job.output.step(`Source unchanged: image of v${running.version} is used again`)
    return { image: running.image, processTypes: running.processTypes, buildId: null }
  }

  async #isSameTree(job: PushJob, commit: string): Promise<boolean> {
    const [before, now] = await Promise.all([
      this.repositories.treeOf(job.repository, commit),
      this.repositories.treeOf(job.repository, job.command.newValue),
    ])
    return before !== undefined && before === now
  }

  async #isSameStack(job: PushJob, image: string): Promise<boolean> {
    const build = await this.builds.ofImage(job.app.id, image)
    return build === null || job.app.settings.stack === undefined || build.stack === job.app.settings.stack
  }

  async #build(job: PushJob): Promise<Built> {
    const tree = await this.repositories.treeOf(job.repository, job.command.newValue)
    if (tree === undefined) throw new Error(`commit ${job.command.newValue} has no tree`)
    const build = await this.builds.create({
      app: job.app,
      pushId: job.id,
      commit: job.command.newValue,
      tree,
      isClean: job.options.rebuild === true,
    })
    const end = await this.builds.wait(build.id, {
      onLine: (line) => job.output.line(line),
      onWaiting: (why) => job.output.step(`Waiting: ${why}`),
      signal: job.abandoned,
    })
    return builtOf(end)
  }

  /** What is said to the pusher of a failure, and where there is more. */
  #refusalOf(job: PushJob, error: unknown): Refusal {
    const details = detailsOf(job, error)
    if (error instanceof PushRefused) {
      job.output.failure(error.refusal, details)
      return error.refusal
    }
    const refusal = this.#unexpected(job, error)
    job.output.failure(refusal, details)
    return refusal
  }

  #unexpected(job: PushJob, error: unknown): Refusal {
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

  async #end(job: PushJob, refusal: Refusal): Promise<void> {
    const event = refusal.reason === 'canceled' || refusal.reason === 'superseded' ? 'cancel' : 'refuse'
    try {
      await this.#move(job.id, event, { reason: refusal.reason, message: refusal.cause })
      this.logger.info('push-ended', { push: job.id, app: job.app.id, how: event, why: refusal.reason })
    } finally {
      this.#unlock(job.id)
    }
  }

  #unlock(id: PushId): void {
    this.#unlocks.get(id)?.()
    this.#unlocks.delete(id)
  }

  /** One move of the machine; nothing happens when the row is elsewhere already. */
  async #move(id: PushId, event: MachineEvent, change: Change): Promise<void> {
    for (const from of pushMachine.from(event)) {
      const to = pushMachine.next(from, event)
      const { affected } = await this.#pushes().update(
        { id, state: from },
        { ...change, state: to, updatedAt: () => 'now()' },
      )
      if (affected === 1) return
    }
    const push = await this.#pushes().findOneBy({ id })
    if (push !== null && !pushMachine.isFinal(push.state)) pushMachine.next(push.state, event)
  }

  #pushes() {
    return this.dataSource.getRepository(Push)
  }
}

/** A refusal of something that was built: the build has more to say. */
class BuiltRefused extends PushRefused {
  constructor(
    refusal: Refusal,
    readonly buildId: string | null,
  ) {
    super(refusal)
  }
}

class DeployFailed extends BuiltRefused {
  constructor(refusal: Refusal, built: Built) {
    super(refusal, built.buildId)
  }
}

function builtOf(end: BuildEnd): Built {
  switch (end.kind) {
    case 'succeeded':
      return { image: end.result.image, processTypes: end.result.processTypes, buildId: end.build.id }
    case 'canceled':
      throw new BuiltRefused({ ...LEFT, cause: 'the build was canceled' }, end.build.id)
    case 'failed':
      throw new BuiltRefused({ reason: end.reason, cause: end.message, suggestion: end.suggestion }, end.build.id)
  }
}

function detailsOf(job: PushJob, error: unknown): string | undefined {
  if (!(error instanceof BuiltRefused)) return undefined
  if (error.buildId === null) return `croft releases -a ${job.app.name}`
  return `croft builds:info ${error.buildId} -a ${job.app.name}`
}
