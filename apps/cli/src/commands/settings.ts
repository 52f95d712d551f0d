import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { platformVerb, withPlatform, type VerbOptions } from '../verb.js'

const settingsShape = z.looseObject({
  appsPerTeam: z.int(),
  nameQuarantineDays: z.int(),
  expiredStacks: z.string(),
})

/** Keys of `settings:set`. */
const SETTINGS = {
  'apps-per-team': { field: 'appsPerTeam', meaning: 'apps a team may have; default 100' },
  'name-quarantine': {
    field: 'nameQuarantineDays',
    meaning: 'days for which the name of a destroyed app stays closed to other teams; default 30',
  },
  'expired-stacks': {
    field: 'expiredStacks',
    meaning: 'a push on a stack without security fixes: warn or refuse; default warn',
  },
} as const

/** `croft settings` and `croft settings:set KEY=VALUE`: settings of the platform, for its operators. */
export function register(program: Command): void {
  const list = program.command('settings').description('show the settings of the platform')
  platformVerb(list).action((options: VerbOptions) =>
    withPlatform(options, async ({ api }) => {
      const settings = await api.call('GET', '/settings', settingsShape)
      if (options.json === true) return printJson(settings)
      printLines(...Object.entries(SETTINGS).map(([key, { field }]) => `${key}=${settings[field]}`))
    }),
  )
  examples(list, 'croft settings', 'croft settings --json')

  const set = program
    .command('settings:set')
    .description('change settings of the platform')
    .argument(
      '<key=value...>',
      Object.entries(SETTINGS)
        .map(([key, { meaning }]) => `${key}: ${meaning}`)
        .join('; '),
    )
  platformVerb(set).action((pairs: string[], options: VerbOptions) => {
    const body = parsePlatformSettings(pairs)
    return withPlatform(options, async ({ api }) => {
      const settings = await api.call('PATCH', '/settings', settingsShape, { body })
      if (options.json === true) return printJson(settings)
      printLines(...pairs)
    })
  })
  examples(set, 'croft settings:set expired-stacks=refuse', 'croft settings:set apps-per-team=20')
}

/** `expired-stacks=refuse` arguments as the API takes them. @throws UsageError. Pure. */
export function parsePlatformSettings(pairs: readonly string[]): Record<string, number | string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', value = ''] = pair.split('=', 2)
      const setting = Object.entries(SETTINGS).find(([name]) => name === key)?.[1]
      if (setting === undefined)
        throw new UsageError(`there is no setting ${key}`, `one of ${Object.keys(SETTINGS).join(', ')}`)
      if (value === '') throw new UsageError(`${pair} is not ${key}=VALUE`, `${key}: ${setting.meaning}`)
      return [setting.field, /^\d+$/.test(value) ? Number(value) : value]
    }),
  )
}
