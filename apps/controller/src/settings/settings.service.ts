import { Inject, Injectable } from '@nestjs/common'
import type { DataSource } from 'typeorm'
import { parseEgress } from '@croft/protocol'
import { z } from 'zod'
import { ANY_BUILDER, builderProblem, builderSourceProblem } from '../build/builder-reference.js'
import { DATA_SOURCE } from '../tokens.js'
import { reachSettings } from './reach-settings.js'
import { Setting } from './setting.entity.js'

const ANY_SOURCE = 'https://'

function checkSource(text: string, context: z.RefinementCtx): void {
  const url = URL.parse(text)
  const isAddress = url?.protocol === 'https:' && `${url.username}${url.password}${url.search}${url.hash}` === ''
  if (text === ANY_SOURCE || isAddress) return
  context.addIssue({ code: 'custom', message: `${text} is no address: write it as https://HOST/PATH` })
}

const egressProblem = (text: string): string | null => {
  const target = parseEgress(text)
  return typeof target === 'string' ? target : null
}

const checkedBy = (problemOf: (text: string) => string | null) => (text: string, context: z.RefinementCtx) => {
  const problem = problemOf(text)
  if (problem !== null) context.addIssue({ code: 'custom', message: `${text.slice(0, 100)} ${problem}` })
}

/** Every platform setting, with its unit in the name and its default. */
export const settingsSchema = z.object({
  /** The range nodes get their /20 from. */
  network: z.string().default('10.192.0.0/12'),
  /** Destinations builds may reach although they lie in private ranges: `host:port` or `cidr:port`. */
  egress: z
    .array(z.string().superRefine(checkedBy(egressProblem)))
    .max(100)
    .default([]),
  /** Addresses at or below which apps may fetch buildpacks, `https://` for any; none: no app may. */
  buildpackSources: z.array(z.string().superRefine(checkSource)).max(100).default([ANY_SOURCE]),
  /** Reference of the builder image that builds apps that name none; null: Croft's own buildpacks do, on its stacks. */
  builder: z.string().superRefine(checkedBy(builderProblem)).nullable().default(null),
  /** Addresses at or below which apps may name builder images, `*` for any; none: only the platform's own. */
  builderSources: z
    .array(z.string().superRefine(checkedBy(builderSourceProblem)))
    .max(100)
    .default([ANY_BUILDER]),
  /** Apps a team may have. */
  appsPerTeam: z.int().positive().default(100),
  /** How long the name of a destroyed app stays closed to other teams, days. */
  nameQuarantineDays: z.int().nonnegative().default(30),
  /** What a build may use of memory, MiB; null: 2048, or half of a smaller node. */
  buildMemoryMib: z
    .int()
    .min(256)
    .max(1024 ** 2)
    .nullable()
    .default(null),
  /** A push on a stack whose support has ended: `warn` or `refuse`. */
  expiredStacks: z.enum(['warn', 'refuse']).default('warn'),
  ...reachSettings,
})
export type Settings = z.infer<typeof settingsSchema>
export type SettingKey = keyof Settings

/** The writer of `setting`; an absent row has its default. */
@Injectable()
export class SettingsService {
  constructor(@Inject(DATA_SOURCE) private readonly dataSource: DataSource) {}

  async all(): Promise<Settings> {
    const rows = await this.dataSource.getRepository(Setting).find()
    return settingsSchema.parse(Object.fromEntries(rows.map((row) => [row.key, row.value])))
  }

  async get<K extends SettingKey>(key: K): Promise<Settings[K]> {
    const row = await this.dataSource.getRepository(Setting).findOneBy({ key })
    return settingsSchema.parse(row === null ? {} : { [key]: row.value })[key]
  }

  async set<K extends SettingKey>(key: K, value: Settings[K]): Promise<void> {
    const parsed = settingsSchema.shape[key].parse(value)
    await this.dataSource.query(
      `INSERT INTO setting (key, value) VALUES ($1, $2)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()`,
      [key, JSON.stringify(parsed)],
    )
  }
}
