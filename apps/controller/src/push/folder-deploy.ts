import type { Readable } from 'node:stream'
import { Inject, Injectable } from '@nestjs/common'
import { CroftError, type Clock, type Logger } from '@croft/kit'
import type { App } from '../app/app.entity.js'
import { AppService } from '../app/app.service.js'
import type { Principal } from '../auth/principal.js'
import { noDockerfile } from '../build/choose-builder.js'
import { CLOCK, LOGGER } from '../tokens.js'
import { importFolder } from './folder-archive.js'
import { FOLDER_REFS } from './git.js'
import type { PushJob } from './push-job.js'
import type { PushOutput } from './push-output.js'
import { PushRows } from './push-rows.js'
import { PushService } from './push.service.js'
import { asOfFolder, PushRefused, type Refusal } from './refusal.js'
import { Repositories } from './repository.js'
import { runPush, type PushEnd } from './run-push.js'
import { checkSource } from './source-check.js'

/** A folder that is not built. */
export class FolderRefused extends CroftError {
  constructor({ reason, cause, suggestion }: Refusal) {
    super({ code: reason, status: 422, title: cause, suggestion, kind: 'user' })
  }
}

export interface FolderWish {
  /** The folder's name, for people. */
  name: string
  /** Whether nothing of earlier builds is used. */
  isClean: boolean
}

/**
 * Deploys a folder that was not pushed with git, by its Dockerfile: it becomes a commit in the app's repository under a ref nobody
 * else sees, and from there on a push, with the same checks, lock, row and recovery.
 */
@Injectable()
export class FolderDeploy {
  /** The refs of folders that wait or are built: whichever serves in the end, they stay until then. */
  readonly #underWay = new Set<string>()

  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(PushRows) private readonly rows: PushRows,
    @Inject(PushService) private readonly pushes: PushService,
    @Inject(Repositories) private readonly repositories: Repositories,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws AppNotFound */
  find(who: Principal, name: string): Promise<App> {
    return this.apps.findInTeam(who.teamId, name)
  }

  /** Receives the archive, before anything is said. @throws FolderRefused, or what `tar` fails with */
  async receive(
    who: Principal,
    app: App,
    wish: FolderWish,
    tar: Readable,
  ): Promise<Omit<PushJob, 'output' | 'abandoned'>> {
    const id = await this.pushes.newId()
    const ref = `${FOLDER_REFS}/${id}`
    const repository = await this.repositories.ensure(app.repositoryId)
    const draft = await this.repositories.draft(app.repositoryId)
    try {
      await importFolder(draft, tar, { ref, author: { name: who.name, nowMs: this.clock.now() } })
      const commit = (await this.repositories.readRef(draft, ref)) ?? ''
      const source = await checkSource(draft, commit, null)
      if (!source.wishFiles.has('Dockerfile'))
        throw new PushRefused({ reason: 'dockerfile', ...noDockerfile(wish.name) })
      this.#underWay.add(ref)
      await this.repositories.adopt(repository, draft, ref, commit)
      return {
        id,
        app,
        author: who.name,
        repository,
        command: { ref, oldValue: commit, newValue: commit },
        options: { folder: wish.name },
        build: wish.isClean ? 'clean' : 'if-needed',
        ...source,
      }
    } catch (error) {
      this.#underWay.delete(ref)
      if (!(error instanceof PushRefused)) throw error
      throw new FolderRefused(asOfFolder(error.refusal))
    } finally {
      await this.repositories.discard(draft)
    }
  }

  /** Builds, releases and deploys; never throws. Of all folders the one that serves stays, to be built anew. */
  async run(
    received: Awaited<ReturnType<FolderDeploy['receive']>>,
    output: PushOutput,
    abandoned: AbortSignal,
  ): Promise<PushEnd> {
    const { app, repository, command } = received
    try {
      const end = await runPush({ ...received, output, abandoned }, this.pushes, this.rows)
      const isRefused = end.outcome === 'refused'
      await this.#drop(repository, () => (isRefused ? [command.ref] : this.#formerOf(app, repository)))
      return end
    } finally {
      this.#underWay.delete(command.ref)
    }
  }

  /** The folders of before the one that serves; those that are under way may yet. */
  async #formerOf(app: App, repository: string): Promise<string[]> {
    const there = await this.repositories.folders(repository)
    const serves = await this.rows.lastCommitted(app.id) // after the list: what is in it and ends meanwhile is this one
    return there.filter((ref) => ref !== serves?.ref && !this.#underWay.has(ref))
  }

  /** Removes refs; one that stays goes with the next folder. */
  async #drop(repository: string, refsOf: () => string[] | Promise<string[]>): Promise<void> {
    try {
      for (const ref of await refsOf()) await this.repositories.dropRef(repository, ref)
    } catch (error) {
      this.logger.warn('folders-not-removed', { repository, error })
    }
  }
}
