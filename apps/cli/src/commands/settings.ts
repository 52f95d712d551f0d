import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { keysHelp } from '../keys-help.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { platformVerb, withPlatform, type VerbOptions } from '../verb.js'

/** What stands for every address: among those of buildpacks, and of builder images. */
const ANY: Readonly<Record<string, string>> = { 'buildpack-sources': 'https://', 'builder-sources': '*' }
const address = z.string().nullable().default(null)
const settingsShape = z.looseObject({
  appsPerTeam: z.int(),
  nameQuarantineDays: z.int(),
  expiredStacks: z.string(),
  buildMemoryMib: z.int().nullable().default(null),
  buildpackSources: z.array(z.string()),
  builder: address,
  builderSources: z.array(z.string()).default(['*']),
  egress: z.array(z.string()).default([]),
  npmRegistry: address,
  rubygemsMirror: address,
  pypiIndex: address,
  packagistMirror: address,
  proxy: address,
  noProxy: address,
  ca: address,
})
type Settings = z.infer<typeof settingsShape>
type Value = string | number | null | string[]

/** A key of `settings:set`. Optional ones are taken back by an empty value. */
interface Setting {
  field: keyof Settings
  /** What its values look like. */
  form: string
  meaning: string
  isOptional?: true
}

const SETTINGS: Record<string, Setting> = {
  'apps-per-team': { field: 'appsPerTeam', form: 'NUMBER', meaning: 'apps a team may have; default 100' },
  'name-quarantine': {
    field: 'nameQuarantineDays',
    form: 'DAYS',
    meaning: 'for which the name of a destroyed app stays closed to other teams; default 30',
  },
  'expired-stacks': {
    field: 'expiredStacks',
    form: 'warn|refuse',
    meaning: 'what becomes of a push on a stack without security fixes; default warn',
  },
  'build-memory': {
    field: 'buildMemoryMib',
    form: 'MIB',
    meaning:
      'of memory that a build may use, and that is free before it starts; default 2048, or half of a smaller host',
    isOptional: true,
  },
  'buildpack-sources': {
    field: 'buildpackSources',
    form: 'any|none|URL,...',
    meaning: 'https addresses at or below which apps may fetch buildpacks; default any',
  },
  builder: {
    field: 'builder',
    form: 'IMAGE',
    meaning: "builder image that builds apps that name none; default Croft's buildpacks on its stacks",
    isOptional: true,
  },
  'builder-sources': {
    field: 'builderSources',
    form: 'any|none|HOST/NAME,...',
    meaning: 'addresses at or below which apps may name builder images; default any',
  },
  egress: {
    field: 'egress',
    form: 'none|HOST:PORT,...',
    meaning: "what builds may reach in private ranges besides mirrors and the host's registries; default none",
  },
  'npm-registry': {
    field: 'npmRegistry',
    form: 'URL',
    meaning: "where builds get npm packages, Node.js, yarn and pnpm from; default the host's",
    isOptional: true,
  },
  'rubygems-mirror': {
    field: 'rubygemsMirror',
    form: 'URL',
    meaning: 'what builds ask instead of rubygems.org',
    isOptional: true,
  },
  'pypi-index': { field: 'pypiIndex', form: 'URL', meaning: 'what builds ask instead of pypi.org', isOptional: true },
  'packagist-mirror': {
    field: 'packagistMirror',
    form: 'URL',
    meaning: 'what builds ask instead of packagist.org',
    isOptional: true,
  },
  proxy: { field: 'proxy', form: 'URL', meaning: "the proxy of builds; default the host's", isOptional: true },
  'no-proxy': {
    field: 'noProxy',
    form: 'HOST,...',
    meaning: "hosts that builds reach without it; default the host's",
    isOptional: true,
  },
  ca: {
    field: 'ca',
    form: 'FILE',
    meaning: "certificates in PEM that builds, and pulls from registries, trust besides the host's",
    isOptional: true,
  },
}

/** `croft settings` and `croft settings:set KEY=VALUE`: settings of the platform, for its operators. */
export function register(program: Command): void {
  const list = program.command('settings').description('show the settings of the platform')
  platformVerb(list).action((options: VerbOptions) =>
    withPlatform(options, async ({ api }) => {
      const settings = await api.call('GET', '/settings', settingsShape)
      if (options.json === true) return printJson(settings)
      printLines(...settingLines(settings))
    }),
  )
  examples(list, 'croft settings', 'croft settings --json')

  const set = program
    .command('settings:set')
    .description('change settings of the platform')
    .argument('<key=value...>', 'the keys are below; an empty value takes one for builds back')
  platformVerb(set).action((pairs: string[], options: VerbOptions) => {
    const body = parsePlatformSettings(pairs, (file) => readFileSync(file, 'utf8'))
    return withPlatform(options, async ({ api }) => {
      const settings = await api.call('PATCH', '/settings', settingsShape, { body })
      if (options.json === true) return printJson(settings)
      printLines(...settingLines(settings, Object.keys(body)))
    })
  })
  keysHelp(
    set,
    Object.entries(SETTINGS).map(([key, { form, meaning }]) => [`${key}=${form}`, meaning]),
  )
  examples(
    set,
    'croft settings:set expired-stacks=refuse',
    'croft settings:set npm-registry=https://npm.corp.example/ ca=/etc/ssl/corp.pem',
    'croft settings:set npm-registry=',
    'croft settings:set egress=git.corp.example:443,10.20.0.0/16:5432',
    'croft settings:set buildpack-sources=https://github.com/heroku/,https://git.corp.example/packs/',
    'croft settings:set builder=registry.corp.example/builders/base:1 builder-sources=registry.corp.example/builders/',
  )
}

/** `key=value` for people, of all settings or of some fields. Pure. */
export function settingLines(settings: Settings, fields?: readonly string[]): string[] {
  return Object.entries(SETTINGS).flatMap(([key, { field }]) => {
    if (fields !== undefined && !fields.includes(field)) return []
    const value = settings[field] as Value
    return [`${key}=${shown(key, value)}`]
  })
}

function shown(key: string, value: Value): string | number {
  if (Array.isArray(value)) return value.includes(ANY[key] ?? '') ? 'any' : value.join(',') || 'none'
  return key === 'ca' && typeof value === 'string' ? certificateNames(value) : (value ?? '')
}

/** Whose certificates these are and how long they hold. */
function certificateNames(pem: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  const names = blocks.map((block) => {
    const { subject, validToDate } = new X509Certificate(block)
    return `${subject.replaceAll('\n', ', ')} until ${validToDate.toISOString().slice(0, 10)}`
  })
  return names.join('; ')
}

/** `expired-stacks=refuse` arguments as the API takes them; `read` gives the text of a file. @throws UsageError */
export function parsePlatformSettings(pairs: readonly string[], read: (file: string) => string): Record<string, Value> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, key = pair, value = ''] = /^([^=]*)=(.*)$/s.exec(pair) ?? []
      const setting = Object.hasOwn(SETTINGS, key) ? SETTINGS[key] : undefined
      if (setting === undefined)
        throw new UsageError(`there is no setting ${key}`, `one of ${Object.keys(SETTINGS).join(', ')}`)
      const isReset = setting.isOptional === true && value === '' && pair.includes('=')
      if (isReset) return [setting.field, null]
      if (value === '')
        throw new UsageError(`${pair} is not ${key}=${setting.form}`, `${key}=${setting.form}: ${setting.meaning}`)
      if (key === 'ca') return [setting.field, certificatesIn(value, read)]
      if (key in ANY) return [setting.field, sourcesIn(value, ANY[key] ?? '')]
      if (key === 'egress') return [setting.field, value === 'none' ? [] : value.split(',')]
      return [setting.field, /^\d+$/.test(value) ? Number(value) : value]
    }),
  )
}

function sourcesIn(value: string, any: string): string[] {
  if (value === 'any') return [any]
  return value === 'none' ? [] : value.split(',')
}

function certificatesIn(file: string, read: (file: string) => string): string {
  try {
    return read(file)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UsageError(`the certificates cannot be read: ${why}`, 'ca: a file of certificates in PEM')
  }
}
