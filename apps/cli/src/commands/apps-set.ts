import type { Command } from 'commander'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { keysHelp } from '../keys-help.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { appPath, platformVerb, withPlatform, type VerbOptions } from '../verb.js'

type Value = number | string | boolean | string[] | null

interface SettingOf {
  field: string
  /** What its values look like. */
  form: string
  meaning: string
  example: string
  /** The value as the API takes it; undefined for one that is no such value. */
  parse(text: string): Value | undefined
  /** The value as it is typed, where that is another text. */
  show?: (value: unknown) => string
}

const seconds = (field: string, meaning: string): SettingOf => ({
  field,
  form: 'SECONDS',
  meaning,
  example: '10',
  parse: (text) => (/^\d+(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1_000) : undefined),
  show: (value) => String(Number(value) / 1_000),
})

/** Keys of `apps:set`; an empty value goes back to the default. */
const SETTINGS: Readonly<Record<string, SettingOf>> = {
  'boot-timeout': seconds('bootTimeoutMs', 'not ready after this long is a failed start; default 60'),
  grace: seconds('graceMs', 'between SIGTERM and SIGKILL; default 30'),
  drain: seconds('drainMs', 'how long requests may go on after an instance left the routes; default 30'),
  builder: {
    field: 'builder',
    form: 'dockerfile|buildpacks|IMAGE',
    meaning:
      'what builds the app, IMAGE: a builder image of any registry; default the Dockerfile where there is one and nothing asks for buildpacks',
    example: 'dockerfile',
    parse: (text) => (['dockerfile', 'buildpacks'].includes(text) || /[/:]/.test(text) ? text : undefined),
  },
  buildpacks: {
    field: 'buildpacks',
    form: 'A,B',
    meaning: 'buildpacks of the next builds, e.g. https://HOST/REPOSITORY.git#REF; default what its files say',
    example: './mine,croft/procfile',
    parse: (text) =>
      text
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== ''),
  },
  'deploy-on-push': {
    field: 'deployOnPush',
    form: 'true|false',
    meaning: 'true: an image pushed to the tag latest is deployed; default false',
    example: 'true',
    parse: (text) => (['true', 'false'].includes(text) ? text === 'true' : undefined),
  },
  'source-dir': {
    field: 'sourceDir',
    form: 'FOLDER',
    meaning: 'the folder of the repository that is the app; default all of it',
    example: 'web/',
    parse: (text) => {
      const folder = text.replace(/^(\.\/+)+/, '').replace(/(?<=[^/])\/+$/, '')
      if (folder.startsWith('/')) return undefined
      return folder === '' || folder === '.' ? null : folder
    },
  },
}

/** `croft apps:set APP KEY=VALUE`: settings of an app; the next instances and builds have them. */
export function register(program: Command): void {
  const command = program
    .command('apps:set')
    .description('change settings of an app; instances and builds from now on have them')
    .argument('<app>', 'name of the app')
    .argument('<key=value...>', 'the keys are below; an empty value is the default again')
  platformVerb(command).action((app: string, pairs: string[], options: VerbOptions) => {
    const changes = parseSettings(pairs)
    return withPlatform(options, async ({ api }) => {
      const changed = await api.call('PATCH', appPath(app), appShape, { body: changes })
      if (options.json === true) return printJson(changed)
      printLines(...pairs)
    })
  })
  keysHelp(
    command,
    Object.entries(SETTINGS).map(([key, { form, meaning }]) => [`${key}=${form}`, meaning]),
  )
  examples(
    command,
    'croft apps:set shop boot-timeout=120',
    'croft apps:set shop drain=',
    'croft apps:set shop buildpacks=./mine,croft/procfile',
    'croft apps:set shop source-dir=web/',
    'croft apps:set shop builder=registry.corp.example/builders/base:1',
  )
}

/** The settings that an app has, each as it is typed. Pure. */
export function settingTexts(settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(SETTINGS).flatMap(([key, { field, show = String }]) => {
    const value = settings[field] ?? null
    return value === null ? [] : [`${key}=${show(value)}`]
  })
}

/** `boot-timeout=5` arguments as the API takes them. @throws UsageError. Pure. */
export function parseSettings(pairs: readonly string[]): Record<string, Value> {
  return Object.fromEntries(pairs.map(parseSetting))
}

function parseSetting(pair: string): [field: string, value: Value] {
  const [, key = pair, text] = /^([^=]*)=(.*)$/s.exec(pair) ?? []
  const setting = Object.hasOwn(SETTINGS, key) ? SETTINGS[key] : undefined
  if (setting === undefined) {
    throw new UsageError(`there is no setting ${key}`, `one of ${Object.keys(SETTINGS).join(', ')}`)
  }
  const value = text === '' ? null : text === undefined ? undefined : setting.parse(text)
  if (value === undefined) {
    throw new UsageError(`${pair} is not ${key}=${setting.form}`, `croft apps:set shop ${key}=${setting.example}`)
  }
  return [setting.field, value]
}
