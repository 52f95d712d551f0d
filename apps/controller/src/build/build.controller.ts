import type { OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Res } from '@nestjs/common'
import { buildRecordSchema, usedBuilderSchema } from '@croft/protocol'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { BuildLog } from './build-log.js'
import type { Build } from './build.entity.js'
import { buildMachine } from './build.machine.js'
import { BuildService } from './build.service.js'
import { BuildHasEnded } from './errors.js'

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
  /** What built it, in order, with the commit or digest of what is not the platform's own; null until it succeeded. */
  buildpacks: z.array(z.object({ id: z.string(), version: z.string(), origin: z.string().nullable() })).nullable(),
  /** The builder image that built it, and the run image it stands on, with their digests; null for Croft's own stacks. */
  builder: usedBuilderSchema.nullable(),
  push: z.uuid().nullable(),
  attempt: z.int(),
  /** How it went and what it made; of builds that succeeded. */
  record: buildRecordSchema.nullable(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
})
export type BuildView = z.infer<typeof buildSchema>

const logQuerySchema = z.object({
  /** Whether what comes next is sent too, until the build has ended. */
  follow: z
    .enum(['0', '1', 'true', 'false', ''])
    .default('0')
    .transform((value) => value !== '0' && value !== 'false'),
})

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

  /** What earlier builds of the app kept is not used again. */
  @Delete('cache')
  @HttpCode(204)
  @Policy('app:deploy')
  async clearCache(@Who() who: Principal, @Param('app') name: string): Promise<void> {
    await this.apps.changeSettings(who, name, { cacheClearedAt: new Date().toISOString() })
  }

  @Get(':build')
  @Policy('app:read')
  @Answers(buildSchema)
  async show(@Who() who: Principal, @Param('app') name: string, @Param('build') id: string): Promise<BuildView> {
    const app = await this.apps.findInTeam(who.teamId, name)
    return viewOf(await this.builds.find(app.teamId, app.id, id))
  }

  /** Ends a build that waits or runs: the former release serves on. */
  @Post(':build/cancel')
  @HttpCode(200)
  @Policy('app:deploy')
  @Answers(buildSchema)
  async cancel(@Who() who: Principal, @Param('app') name: string, @Param('build') id: string): Promise<BuildView> {
    const app = await this.apps.findInTeam(who.teamId, name)
    const build = await this.builds.find(app.teamId, app.id, id)
    const isOurs = await this.builds.cancel(build.id, `canceled by ${who.name}`)
    const now = await this.builds.find(app.teamId, app.id, id)
    if (!isOurs) throw new BuildHasEnded(now.id, now.state)
    return viewOf(now)
  }

  /** All it said, as plain text; so far, or until it ends. */
  @Get(':build/logs')
  @Policy('log:read')
  async logs(
    @Who() who: Principal,
    @Param('app') name: string,
    @Param('build') id: string,
    @Query({ schema: logQuerySchema }) query: z.infer<typeof logQuerySchema>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const app = await this.apps.findInTeam(who.teamId, name)
    const build = await this.builds.find(app.teamId, app.id, id)
    reply.type('text/plain; charset=utf-8').header('Cache-Control', 'no-store').header('X-Accel-Buffering', 'no')
    if (!query.follow) return void (await reply.send(await this.log.read(build.id)))
    const left = new AbortController()
    reply.hijack()
    reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders)
    reply.raw.flushHeaders()
    reply.raw.once('close', () => left.abort())
    const isOver = async (): Promise<boolean> =>
      left.signal.aborted || buildMachine.isFinal((await this.builds.find(app.teamId, app.id, id)).state)
    // A reader that leaves is no failure, and nobody is left to be told of another one.
    await pipeline(Readable.from(this.log.tail(build.id, isOver, left.signal)), reply.raw).catch(() => undefined)
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
    buildpacks: build.result?.outcome === 'succeeded' ? (build.result.buildpacks ?? null) : null,
    image: build.image,
    builder: (build.result?.outcome === 'succeeded' ? build.result.builderImage : undefined) ?? null,
    push: build.pushId,
    attempt: build.attempt,
    record: (build.result?.outcome === 'succeeded' ? build.result.record : undefined) ?? null,
    createdAt: build.createdAt.toISOString(),
    startedAt: build.startedAt?.toISOString() ?? null,
    endedAt: build.endedAt?.toISOString() ?? null,
  }
}
