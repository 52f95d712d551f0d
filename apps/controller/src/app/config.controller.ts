import { Body, Controller, Get, Inject, Param, Patch, Query } from '@nestjs/common'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { AppService } from './app.service.js'
import { ConfigStore } from './config-store.js'
import { CONFIG_SCOPES } from './config-var.entity.js'
import { ConfigService } from './config.service.js'

const changeSchema = z.strictObject({
  set: z.record(z.string(), z.string()).default({}),
  unset: z.array(z.string()).max(1_000).default([]),
  scope: z.enum(CONFIG_SCOPES).optional(),
})
const oneSchema = z.object({ name: z.string().optional() })

const namesSchema = z.array(z.object({ name: z.string(), scope: z.enum(CONFIG_SCOPES), updatedAt: z.iso.datetime() }))
const changedSchema = z.object({
  /** Names whose values are others now. */
  changed: z.array(z.string()),
  /** Whether instances see any of it; otherwise only builds do. */
  forInstances: z.boolean(),
  /** The release it made; null when no instance sees what changed, or nothing was released yet. */
  release: z.int().nullable(),
  /** `GET /api/v1/apps/{app}/deployments/{deployment}?wait=` tells how it ends. */
  deployment: z.uuid().nullable(),
})

@Controller('api/v1/apps/:app/config')
export class ConfigController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(ConfigStore) private readonly store: ConfigStore,
    @Inject(ConfigService) private readonly config: ConfigService,
  ) {}

  /** Names and who sees them. */
  @Get()
  @Policy('app:read')
  @Answers(namesSchema)
  async list(@Who() principal: Principal, @Param('app') name: string): Promise<z.infer<typeof namesSchema>> {
    const vars = await this.store.list(await this.apps.findInTeam(principal.teamId, name))
    return vars.map((of) => ({ name: of.name, scope: of.scope, updatedAt: of.updatedAt.toISOString() }))
  }

  /** Plain values, all or `?name=` one; each time it is recorded as an event. */
  @Get('values')
  @Policy('config:read')
  @Answers(z.record(z.string(), z.string()))
  async values(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Query({ schema: oneSchema }) query: z.infer<typeof oneSchema>,
  ): Promise<Record<string, string>> {
    return this.config.reveal(principal, name, query.name)
  }

  /** Answers as soon as the release exists and its deployment has begun. */
  @Patch()
  @Policy('config:write')
  @Answers(changedSchema)
  async change(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Body({ schema: changeSchema }) change: z.infer<typeof changeSchema>,
  ): Promise<z.infer<typeof changedSchema>> {
    return this.config.change(principal, name, change)
  }
}
