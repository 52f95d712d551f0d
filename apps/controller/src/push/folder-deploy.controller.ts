import { Readable } from 'node:stream'
import { Controller, Inject, Param, Post, Query, Req, Res } from '@nestjs/common'
import { CroftError, type Clock } from '@croft/kit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { clientGone } from '../http/client-gone.js'
import { CLOCK } from '../tokens.js'
import { MAX_FOLDER_BYTES } from './folder-archive.js'
import { FolderDeploy } from './folder-deploy.js'
import { bodyOf } from './git-streams.js'
import { answerProgress, progressSchema } from './progress.js'
import { timed } from './receive-session.js'
import { promisedBytes } from './reception.js'
import { Receptions } from './receptions.js'
import { printable } from './text.js'

/** How long it waits for others, ms; whoever sends it is told then, and may come again. */
const WAIT_MS = 3_000

const querySchema = z.strictObject({
  /** What the folder is called, for people. */
  name: z.string().min(1).max(100).default('folder'),
  /** Whether the build starts from what earlier ones kept. */
  cache: z.enum(['true', 'false']).default('true'),
  /** Whether it goes on when the client leaves once all of it was received; otherwise that cancels it. */
  detach: z.enum(['true', 'false']).default('false'),
})

/** Something else was sent. */
class NoArchive extends CroftError {
  constructor() {
    super({
      code: 'no-archive',
      status: 415,
      title: 'the body is no archive',
      suggestion: 'send a tar of the folder as application/x-tar',
    })
  }
}

@Controller('api/v1/apps/:app/folders')
export class FolderDeployController {
  constructor(
    @Inject(FolderDeploy) private readonly folders: FolderDeploy,
    @Inject(Receptions) private readonly receptions: Receptions,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Deploys a folder by its Dockerfile. The body is a tar of it; once all of it is here the answer begins, one JSON object a line
   * as the build goes on.
   */
  @Post()
  @Policy('app:deploy')
  @Answers(progressSchema)
  async deploy(
    @Who() who: Principal,
    @Param('app') name: string,
    @Query({ schema: querySchema }) query: z.infer<typeof querySchema>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const app = await this.folders.find(who, name)
    if (request.headers['content-type'] !== 'application/x-tar') throw new NoArchive()
    const gone = clientGone(reply)
    const reception = { team: app.teamId, bytes: promisedBytes(request.headers, MAX_FOLDER_BYTES) }
    const end = await this.receptions.begin(reception, { gone, waitMs: WAIT_MS })
    const tar = Readable.from(timed(bodyOf(request), gone))
    const wish = { name: printable(query.name), isClean: query.cache === 'false' }
    const received = await this.folders.receive(who, app, wish, tar).finally(end)
    const options = { isDetached: query.detach === 'true', firstLine: '-----> Preparing the build' }
    await answerProgress(reply, this.clock, options, (output, gone) => this.folders.run(received, output, gone))
  }
}
