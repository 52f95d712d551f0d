import { Controller, Get, Inject, Param, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { BuildLog } from './build-log.js'
import type { Build } from './build.entity.js'
import { BuildService } from './build.service.js'

/** A build as the API shows it. */
export interface BuildView {
  id: string
  state: string
  phase: string
  reason: string | null
  message: string | null
  suggestion: string | null
  commit: string
  stack: string
  image: string | null
  push: string | null
  attempt: number
  createdAt: string
  startedAt: string | null
  endedAt: string | null
}

@Controller('api/v1/apps/:app/builds')
export class BuildController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(BuildLog) private readonly log: BuildLog,
  ) {}

  @Get()
  @Policy('app:read')
  async list(@Who() who: Principal, @Param('app') name: string): Promise<BuildView[]> {
    const app = await this.apps.findInTeam(who.teamId, name)
    return (await this.builds.list(app.teamId, app.id)).map(viewOf)
  }

  @Get(':build')
  @Policy('app:read')
  async show(@Who() who: Principal, @Param('app') name: string, @Param('build') id: string): Promise<BuildView> {
    const app = await this.apps.findInTeam(who.teamId, name)
    return viewOf(await this.builds.find(app.teamId, app.id, id))
  }

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
