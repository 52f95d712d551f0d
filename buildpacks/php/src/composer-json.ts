import { BuildFailure } from '@croft/buildpack-kit'
import { JsonProblem, readJson } from '@croft/kit/json-document'
import { composerRange } from '@croft/stacks'

/** The parts of an app's composer.json and composer.lock that a build looks at. Pure. */

export interface ComposerJson {
  /** Names of packages and platform packages (`php`, `ext-gd`) to constraints; what only development needs is not here. */
  require: Record<string, string>
  scripts: string[]
  /** Whether Composer would write something for an app without dependencies: its autoloader. */
  hasAutoload: boolean
  /** Where dependencies are installed, below the app. */
  vendorDirectory: string
}

/** Reads a composer.json. @throws BuildFailure naming file and line when it is none */
export function parseComposerJson(text: string): ComposerJson {
  const document = objectIn('composer.json', text)
  const require = strings(document['require'])
  const php = require['php']
  if (php !== undefined && composerRange(php) === null) {
    throw new BuildFailure(
      `composer.json, line ${lineOf(text, /"php"\s*:/)}: ${JSON.stringify(php)} is no constraint on PHP's version`,
      'write it as Composer does, e.g.  "php": "^8.2"',
    )
  }
  const config = record(document['config'])
  const vendor = typeof config['vendor-dir'] === 'string' ? config['vendor-dir'].replace(/\/+$/, '') : 'vendor'
  if (!/^[\w.-]+(\/[\w.-]+)*$/.test(vendor) || vendor.split('/').includes('..')) {
    throw new BuildFailure(
      `composer.json, line ${lineOf(text, /"vendor-dir"\s*:/)}: config.vendor-dir must be a folder of the app`,
      'take it out: vendor is where everybody looks',
    )
  }
  return {
    require,
    scripts: Object.keys(record(document['scripts'])),
    hasAutoload: document['autoload'] !== undefined,
    vendorDirectory: vendor,
  }
}

/** What Composer has to do for an app. */
export function composerWork(
  app: ComposerJson,
  exists: (file: string) => boolean,
): { isVendored: boolean; installs: boolean; compiles: boolean } {
  const isVendored = exists(`${app.vendorDirectory}/autoload.php`)
  const hasWork =
    Object.keys(app.require).some((name) => name.includes('/')) || app.hasAutoload || exists('composer.lock')
  return { isVendored, installs: !isVendored && hasWork, compiles: app.scripts.includes('compile') }
}

/** Extensions by name (`gd`) and who asks for each: composer.json, or a package of composer.lock. */
export function wantedExtensions(app: ComposerJson | null, lock: string | null): Map<string, string> {
  const wanted = new Map<string, string>()
  const add = (require: Record<string, string>, who: string): void => {
    for (const name of Object.keys(require)) {
      if (!name.toLowerCase().startsWith('ext-')) continue
      const extension = name.slice('ext-'.length).toLowerCase()
      if (!wanted.has(extension)) wanted.set(extension, who)
    }
  }
  if (app !== null) add(app.require, 'composer.json')
  if (lock !== null) {
    const document = objectIn('composer.lock', lock)
    add(strings(document['platform']), 'composer.lock')
    const packages: unknown[] = Array.isArray(document['packages']) ? document['packages'] : []
    for (const each of packages.map(record)) add(strings(each['require']), String(each['name']))
  }
  return wanted
}

function objectIn(file: string, text: string): Record<string, unknown> {
  const remedy = `correct ${file}, then commit and push again`
  let document: unknown
  try {
    document = readJson(text)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    throw new BuildFailure(`${file}, ${error.message}`, remedy)
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new BuildFailure(`${file}, line 1: has to be an object: { ... }`, remedy)
  }
  return document as Record<string, unknown>
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

function strings(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

function lineOf(text: string, pattern: RegExp): number {
  const at = pattern.exec(text)?.index ?? 0
  return text.slice(0, at).split('\n').length
}
