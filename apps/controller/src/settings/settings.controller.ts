import { Body, Controller, Get, Inject, Patch } from '@nestjs/common'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Answers } from '../http/answers.js'
import { reachSettings } from './reach-settings.js'
import { SettingsService, settingsSchema, type Settings } from './settings.service.js'

const { appsPerTeam, nameQuarantineDays, expiredStacks, buildMemoryMib, egress } = settingsSchema.shape
const { buildpackSources, builder, builderSources } = settingsSchema.shape

/** The settings an operator may change while the platform runs. */
export const openSettingsSchema = z.object({
  appsPerTeam,
  nameQuarantineDays,
  expiredStacks,
  buildMemoryMib,
  buildpackSources,
  builder,
  builderSources,
  egress,
  ...reachSettings,
})
type OpenSettings = z.infer<typeof openSettingsSchema>
const KEYS = Object.keys(openSettingsSchema.shape) as (keyof OpenSettings)[]

const { npmRegistry, rubygemsMirror, pypiIndex, packagistMirror, proxy, noProxy, ca } = reachSettings
const changesSchema = z.strictObject({
  appsPerTeam: appsPerTeam.unwrap().optional(),
  nameQuarantineDays: nameQuarantineDays.unwrap().optional(),
  expiredStacks: expiredStacks.unwrap().optional(),
  buildMemoryMib: buildMemoryMib.unwrap().optional(),
  buildpackSources: buildpackSources.unwrap().optional(),
  builder: builder.unwrap().optional(),
  builderSources: builderSources.unwrap().optional(),
  egress: egress.unwrap().optional(),
  npmRegistry: npmRegistry.unwrap().optional(),
  rubygemsMirror: rubygemsMirror.unwrap().optional(),
  pypiIndex: pypiIndex.unwrap().optional(),
  packagistMirror: packagistMirror.unwrap().optional(),
  proxy: proxy.unwrap().optional(),
  noProxy: noProxy.unwrap().optional(),
  ca: ca.unwrap().optional(),
})

@Controller('api/v1/settings')
export class SettingsController {
  constructor(@Inject(SettingsService) private readonly settings: SettingsService) {}

  @Get()
  @Policy('platform:operate')
  @Answers(openSettingsSchema)
  async read(): Promise<OpenSettings> {
    return openOf(await this.settings.all())
  }

  @Patch()
  @Policy('platform:operate')
  @Answers(openSettingsSchema)
  async change(@Body({ schema: changesSchema }) changes: z.infer<typeof changesSchema>): Promise<OpenSettings> {
    for (const key of KEYS) {
      const value = changes[key]
      if (value !== undefined) await this.settings.set(key, value)
    }
    return this.read()
  }
}

function openOf(all: Settings): OpenSettings {
  return openSettingsSchema.parse(all)
}
