import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common'
import { CHOICE_FORMS, parseBuildpackChoice } from '@croft/lifecycle'
import { STACKS } from '@croft/stacks'
import { z } from 'zod'
import { appUrl, gitUrl } from '../addresses.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { builderProblem, isAllowedBuilder } from '../build/builder-reference.js'
import { BUILDERS, builderRefusal } from '../build/choose-builder.js'
import type { ControllerConfig } from '../config.js'
import { Answers } from '../http/answers.js'
import { SettingsService } from '../settings/settings.service.js'
import { TeamService } from '../team/team.service.js'
import { CONFIG } from '../tokens.js'
import type { App } from './app.entity.js'
import { AppService } from './app.service.js'
import { BuilderNotAllowed } from './errors.js'

/** A relative path without empty, `.` or `..` parts. */
const SOURCE_DIR = /^(?!\.{1,2}(?:\/|$))[^/\0]+(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)*$/
const builderReference = z.string().superRefine((text, context) => {
  const problem = builderProblem(text)
  if (problem !== null) context.addIssue({ code: 'custom', message: `${text.slice(0, 100)} ${problem}` })
})
const millis = z.int().min(0).max(3_600_000)

export const settingsShape = z.object({
  /** Boot time-out, ms; default 60,000. */
  bootTimeoutMs: z.int().min(1_000).max(1_800_000).optional(),
  /** Between SIGTERM and SIGKILL, ms; default 30,000. */
  graceMs: millis.optional(),
  /** How long in-flight requests may go on after an instance left the routes, ms; default 30,000. */
  drainMs: millis.optional(),
  /** An image pushed to the tag `latest` is deployed; default false. */
  deployOnPush: z.boolean().optional(),
  /** What builds the app: its Dockerfile, buildpacks, or those of the builder image with this reference; by default its files decide. */
  builder: z.union([z.enum(BUILDERS), builderReference]).optional(),
  /** Buildpacks of the next builds: ids, addresses of repositories with `#REF`, folders of the source. */
  buildpacks: z
    .array(z.string().refine((text) => parseBuildpackChoice(text) !== null, `expected ${CHOICE_FORMS}`))
    .max(20)
    .optional(),
  /** What builds stand on; by default the app's files choose. */
  stack: z.enum(STACKS.map(({ id }) => id)).optional(),
  /** The folder of the repository that is the app; by default all of it. */
  sourceDir: z.string().max(500).regex(SOURCE_DIR, 'must be a folder of the repository, e.g. apps/web').optional(),
})
const changesSchema = z.strictObject({
  bootTimeoutMs: settingsShape.shape.bootTimeoutMs.nullable(),
  graceMs: settingsShape.shape.graceMs.nullable(),
  drainMs: settingsShape.shape.drainMs.nullable(),
  deployOnPush: settingsShape.shape.deployOnPush.nullable(),
  builder: settingsShape.shape.builder.nullable(),
  buildpacks: settingsShape.shape.buildpacks.nullable(),
  stack: settingsShape.shape.stack.nullable(),
  sourceDir: settingsShape.shape.sourceDir.nullable(),
})
const newAppSchema = z.strictObject({ name: z.string().max(200), team: z.string().max(200).optional() })
const confirmSchema = z.object({ confirm: z.string().optional() })

export const appSchema = z.object({
  id: z.uuid(),
  name: z.string(),
  team: z.string(),
  url: z.url(),
  gitUrl: z.url(),
  /** Number of the release that serves; null before the first. */
  release: z.int().nullable(),
  settings: settingsShape,
  createdAt: z.iso.datetime(),
})
type AppAnswer = z.infer<typeof appSchema>

@Controller('api/v1/apps')
export class AppController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(TeamService) private readonly teams: TeamService,
    @Inject(SettingsService) private readonly platform: SettingsService,
    @Inject(CONFIG) private readonly config: ControllerConfig,
  ) {}

  @Get()
  @Policy('app:read')
  @Answers(z.array(appSchema))
  async list(@Who() principal: Principal): Promise<AppAnswer[]> {
    const team = await this.teams.get(principal.teamId)
    return (await this.apps.list(principal.teamId)).map((app) => this.#answer(app, team.name))
  }

  @Post()
  @Policy('app:create')
  @Answers(appSchema)
  async create(
    @Who() principal: Principal,
    @Body({ schema: newAppSchema }) wanted: z.infer<typeof newAppSchema>,
  ): Promise<AppAnswer> {
    return this.#describe(await this.apps.create(wanted.name, principal, wanted.team))
  }

  @Get(':app')
  @Policy('app:read')
  @Answers(appSchema)
  async read(@Who() principal: Principal, @Param('app') name: string): Promise<AppAnswer> {
    return this.#describe(await this.apps.findInTeam(principal.teamId, name))
  }

  @Patch(':app')
  @Policy('app:write')
  @Answers(appSchema)
  async change(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Body({ schema: changesSchema }) changes: z.infer<typeof changesSchema>,
  ): Promise<AppAnswer> {
    await this.#refuseBuilder(name, changes.builder ?? null)
    return this.#describe(await this.apps.changeSettings(principal, name, changes))
  }

  /** @throws BuilderNotAllowed; a push is refused, too, when operators think differently later */
  async #refuseBuilder(name: string, builder: string | null): Promise<void> {
    if (builder === null || BUILDERS.some((one) => one === builder)) return
    const rules = await this.platform.all()
    if (!isAllowedBuilder(builder, rules.builderSources, rules.builder)) {
      const { cause, suggestion } = builderRefusal(builder, rules, name)
      throw new BuilderNotAllowed(cause, suggestion)
    }
  }

  /** Needs `?confirm=` with the name once more. */
  @Delete(':app')
  @HttpCode(204)
  @Policy('app:destroy')
  async destroy(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Query({ schema: confirmSchema }) query: z.infer<typeof confirmSchema>,
  ): Promise<void> {
    await this.apps.destroy(principal, name, query.confirm)
  }

  async #describe(app: App): Promise<AppAnswer> {
    return this.#answer(app, (await this.teams.get(app.teamId)).name)
  }

  #answer(app: App, team: string): AppAnswer {
    const { bootTimeoutMs, graceMs, drainMs, deployOnPush, builder, buildpacks, stack, sourceDir } = app.settings
    return {
      id: app.id,
      name: app.name,
      team,
      url: appUrl(this.config, app.name),
      gitUrl: gitUrl(this.config, app.name),
      release: app.currentRelease,
      settings: {
        ...(bootTimeoutMs !== undefined && { bootTimeoutMs }),
        ...(graceMs !== undefined && { graceMs }),
        ...(drainMs !== undefined && { drainMs }),
        ...(deployOnPush !== undefined && { deployOnPush }),
        ...(builder !== undefined && { builder }),
        ...(buildpacks !== undefined && { buildpacks }),
        ...(stack !== undefined && { stack }),
        ...(sourceDir !== undefined && { sourceDir }),
      },
      createdAt: app.createdAt.toISOString(),
    }
  }
}
