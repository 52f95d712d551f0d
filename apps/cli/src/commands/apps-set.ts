import type { Command } from 'commander'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { appPath, platformVerb, withPlatform, type VerbOptions } from '../verb.js'

/** Keys of `apps:set`, all in seconds; an empty value goes back to the default. */
const SETTINGS = {
  'boot-timeout': { field: 'bootTimeoutMs', meaning: 'not ready after this long is a failed start; default 60' },
  grace: { field: 'graceMs', meaning: 'between SIGTERM and SIGKILL; default 30' },
  drain: { field: 'drainMs', meaning: 'how long requests may go on after an instance left the routes; default 30' },
} as const

/** `croft apps:set APP KEY=VALUE`: settings of an app; the next instances have them. */
export function register(program: Command): void {
  const command = program
    .command('apps:set')
    .description('change settings of an app; instances made from now on have them')
    .argument('<app>', 'name of the app')
    .argument(
      '<key=seconds...>',
      Object.entries(SETTINGS)
        .map(([key, { meaning }]) => `${key}: ${meaning}`)
        .join('; '),
    )
  platformVerb(command).action((app: string, pairs: string[], options: VerbOptions) => {
    const changes = parseSettings(pairs)
    return withPlatform(options, async ({ api }) => {
      const changed = await api.call('PATCH', appPath(app), appShape, { body: changes })
      if (options.json === true) return printJson(changed)
      printLines(...pairs)
    })
  })
  examples(command, 'croft apps:set shop boot-timeout=120', 'croft apps:set shop drain=')
}

/** `boot-timeout=5` arguments as the API takes them. @throws UsageError. Pure. */
export function parseSettings(pairs: readonly string[]): Record<string, number | null> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', value] = pair.split('=', 2)
      const setting = Object.entries(SETTINGS).find(([name]) => name === key)?.[1]
      if (setting === undefined)
        throw new UsageError(`there is no setting ${key}`, `one of ${Object.keys(SETTINGS).join(', ')}`)
      if (value === undefined || !/^(\d+(\.\d+)?)?$/.test(value))
        throw new UsageError(`${pair} is not ${key}=SECONDS`, `croft apps:set shop ${key}=10`)
      return [setting.field, value === '' ? null : Math.round(Number(value) * 1_000)]
    }),
  )
}
