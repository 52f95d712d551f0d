import { Inject, Injectable } from '@nestjs/common'
import { CroftError } from '@croft/kit'
import { AppService } from '../app/app.service.js'
import type { Principal } from '../auth/principal.js'
import type { PushJob } from './push-job.js'
import type { PushOutput } from './push-output.js'
import { PushRows } from './push-rows.js'
import { PushService } from './push.service.js'
import { Repositories } from './repository.js'
import { runPush, type PushEnd } from './run-push.js'
import { checkSource } from './source-check.js'

/** An app that nobody has pushed to yet. */
export class NothingPushed extends CroftError {
  constructor(app: string) {
    super({
      code: 'nothing-pushed',
      status: 409,
      title: `nothing of ${app} has been pushed yet`,
      suggestion: 'git push croft main',
      kind: 'user',
    })
  }
}

/**
 * Builds and deploys once more what was pushed last, for a new base image or another stack: a push that moves no ref, with the
 * same lock, row and recovery as one of git's.
 */
@Injectable()
export class BuildAnew {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(PushRows) private readonly rows: PushRows,
    @Inject(PushService) private readonly pushes: PushService,
    @Inject(Repositories) private readonly repositories: Repositories,
  ) {}

  /** What is built, before anything is said. @throws AppNotFound, NothingPushed */
  async prepare(who: Principal, name: string, isClean: boolean): Promise<Omit<PushJob, 'output' | 'abandoned'>> {
    const app = await this.apps.findInTeam(who.teamId, name)
    const last = await this.rows.lastCommitted(app.id)
    if (last === null) throw new NothingPushed(app.name)
    const repository = await this.repositories.ensure(app.repositoryId)
    const commit = await this.repositories.readRef(repository, last.ref)
    if (commit === undefined) throw new NothingPushed(app.name)
    const folder = last.options.folder === undefined ? (app.settings.sourceDir ?? null) : null
    const source = await checkSource(repository, commit, folder)
    return {
      id: await this.pushes.newId(),
      app,
      author: who.name,
      repository,
      command: { ref: last.ref, oldValue: commit, newValue: commit },
      options: { rebuild: true, ...(last.options.folder !== undefined && { folder: last.options.folder }) },
      build: isClean ? 'clean' : 'always',
      ...source,
    }
  }

  /** Builds, releases and deploys; never throws. */
  run(
    prepared: Awaited<ReturnType<BuildAnew['prepare']>>,
    output: PushOutput,
    abandoned: AbortSignal,
  ): Promise<PushEnd> {
    return runPush({ ...prepared, output, abandoned }, this.pushes, this.rows)
  }
}
