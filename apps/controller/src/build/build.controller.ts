import { Controller, Get, Inject, Param, Query, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { BuildLog } from './build-log.js'
import type { Build } from './build.entity.js'
import { BuildService } from './build.service.js'

/** A build as the API shows it. */
export const buildSchema = z.object({
  id: z.uuid(),
  state: z.enum(['queued', 'running', 'succeeded', 'failed', 'canceled']),
  /** Progress text while it runs. */
  phase: z.string(),
  reason: z.string().nullable(),
  /** Why it failed, for a person. */
  message: z.string().nullable(),
  suggestion: z.string().nullable(),
  commit: z.string(),
  stack: z.string(),
  /** Manifest digest. */
  image: z.string().nullable(),
  push: z.uuid().nullable(),
  attempt: z.int(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
})
export type BuildView = z.infer<typeof buildSchema>

const querySchema = z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(50) })

@Controller('api/v1/apps/:app/builds')
export class BuildController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(BuildLog) private readonly log: BuildLog,
  ) {}

  /** Newest first. */
  @Get()
  @Policy('app:read')
  @Answers(z.array(buildSchema))
  async list(
    @Who() who: Principal,
    @Param('app') name: string,
    @Query({ schema: querySchema }) query: z.infer<typeof querySchema>,
  ): Promise<BuildView[]> {
    const app = await this.apps.findInTeam(who.teamId, name)
    return (await this.builds.list(app.teamId, app.id, query.limit)).map(viewOf)
  }

  @Get(':build')
  @Policy('app:read')
  @Answers(buildSchema)
  async show(@Who() who: Principal, @Param('app') name: string, @Param('build') id: string): Promise<BuildView> {
    const app = await this.apps.findInTeam(who.teamId, name)
    return viewOf(await this.builds.find(app.teamId, app.id, id))
  }

  /** All it said so far, as plain text. */
  @Get(':build/logs')
  @Policy('log:read')
  async logs(
    @Who() who: Principal,
    @Param('app') name: string,
    @Param('build') id: string,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const app = await this.apps.findInTeam(who.teamId, name)
    const build = await this.builds.find(app.teamId, app.id, id)
    await reply.type('text/plain; charset=utf-8').send(await this.log.read(build.id))
  }
}

function viewOf(build: Build): BuildView {
  return {
    id: build.id,
    state: build.state,
    phase: build.phase,
    reason: build.reason,
    message: build.message,
    suggestion: build.suggestion,
    commit: build.commit,
    stack: build.stack,
    image: build.image,
    push: build.pushId,
    attempt: build.attempt,
    createdAt: build.createdAt.toISOString(),
    startedAt: build.startedAt?.toISOString() ?? null,
    endedAt: build.endedAt?.toISOString() ?? null,
  }
}
