import type { Command } from 'commander'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { appPath, platformVerb, withPlatform, type VerbOptions } from '../verb.js'

/** Keys of `apps:set` in seconds; an empty value goes back to the default. */
const SECONDS = {
  'boot-timeout': { field: 'bootTimeoutMs', meaning: 'not ready after this long is a failed start; default 60' },
  grace: { field: 'graceMs', meaning: 'between SIGTERM and SIGKILL; default 30' },
  drain: { field: 'drainMs', meaning: 'how long requests may go on after an instance left the routes; default 30' },
} as const
const DEPLOY_ON_PUSH = 'true: an image pushed to the tag latest is deployed; default false'
const BUILDPACKS = 'buildpacks of the next builds, e.g. https://HOST/REPOSITORY.git#REF, separated by commas'

/** `croft apps:set APP KEY=VALUE`: settings of an app; the next instances have them. */
export function register(program: Command): void {
  const command = program
    .command('apps:set')
    .description('change settings of an app; instances made from now on have them')
    .argument('<app>', 'name of the app')
    .argument(
      '<key=value...>',
      [
        ...Object.entries(SECONDS).map(([key, { meaning }]) => `${key} (seconds): ${meaning}`),
        `buildpacks: ${BUILDPACKS}`,
        `deploy-on-push: ${DEPLOY_ON_PUSH}`,
      ].join('; '),
    )
  platformVerb(command).action((app: string, pairs: string[], options: VerbOptions) => {
    const changes = parseSettings(pairs)
    return withPlatform(options, async ({ api }) => {
      const changed = await api.call('PATCH', appPath(app), appShape, { body: changes })
      if (options.json === true) return printJson(changed)
      printLines(...pairs)
    })
  })
  examples(
    command,
    'croft apps:set shop boot-timeout=120',
    'croft apps:set shop drain=',
    'croft apps:set shop buildpacks=./mine,croft/procfile',
  )
}

/** `boot-timeout=5` and `buildpacks=a,b` arguments as the API takes them. @throws UsageError. Pure. */
export function parseSettings(pairs: readonly string[]): Record<string, SettingValue> {
  return Object.fromEntries(pairs.map(parseSetting))
}

type SettingValue = number | string[] | boolean | null

function parseSetting(pair: string): [field: string, value: SettingValue] {
  const [key = '', value] = pair.split('=', 2)
  if (key === 'buildpacks') {
    if (value === undefined) throw new UsageError(`${pair} is not buildpacks=A,B`, 'croft apps:set shop buildpacks=')
    const names = value.split(',').map((name) => name.trim())
    return ['buildpacks', value === '' ? null : names.filter((name) => name !== '')]
  }
  if (key === 'deploy-on-push') {
    if (value === undefined || !['true', 'false', ''].includes(value))
      throw new UsageError(`${pair} is not deploy-on-push=true or false`, 'croft apps:set shop deploy-on-push=true')
    return ['deployOnPush', value === '' ? null : value === 'true']
  }
  const setting = Object.entries(SECONDS).find(([name]) => name === key)?.[1]
  if (setting === undefined)
    throw new UsageError(
      `there is no setting ${key}`,
      `one of ${[...Object.keys(SECONDS), 'buildpacks', 'deploy-on-push'].join(', ')}`,
    )
  if (value === undefined || !/^(\d+(\.\d+)?)?$/.test(value))
    throw new UsageError(`${pair} is not ${key}=SECONDS`, `croft apps:set shop ${key}=10`)
  return [setting.field, value === '' ? null : Math.round(Number(value) * 1_000)]
}
