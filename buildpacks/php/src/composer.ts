import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Layer, run, say } from '@croft/buildpack-kit'
import type { ComposerJson } from './composer-json.js'
import { composerFailure, installedCount } from './composer-messages.js'

export interface ComposerInput {
  app: ComposerJson
  appDirectory: string
  layersDirectory: string
  /** The program php, and composer beside the packages. */
  php: string
  composer: string
  phpVersion: string
  /** With which PHP runs. */
  env: Record<string, string>
}

const FLAGS = ['--no-interaction', '--no-ansi']
const INSTALL = ['install', ...FLAGS, '--no-dev', '--prefer-dist', '--no-progress', '--optimize-autoloader']
/** Seconds until a server that does not answer is given up. */
const CONNECT_TIMEOUT = 15
const COMPOSER_HOME = '/tmp/composer'

/**
 * Installs what composer.lock names into the app's own vendor folder, and runs the script `compile`. The folder of the build before
 * comes back when composer.json, composer.lock and PHP are the same; Composer then only writes its autoloader and runs the scripts.
 * @throws BuildFailure
 */
export async function runComposer(input: ComposerInput, work: { installs: boolean; compiles: boolean }): Promise<void> {
  if (work.installs) await install(input)
  if (!work.compiles) return
  say.step('Running the script compile')
  const startedAt = performance.now()
  await composer(input, ['run-script', ...FLAGS, 'compile'], 'all')
  say.detail('done', performance.now() - startedAt)
}

async function install(input: ComposerInput): Promise<void> {
  const { app, appDirectory, layersDirectory } = input
  say.step('Installing dependencies')
  if (!existsSync(join(appDirectory, 'composer.lock')))
    say.warning('there is no composer.lock: versions may differ from one build to the next')
  const startedAt = performance.now()
  const packages = new Layer(layersDirectory, 'packages')
  const cache = new Layer(layersDirectory, 'composer-cache')
  const key = keyOf(input)
  const vendor = join(appDirectory, app.vendorDirectory)
  const isKept = packages.metadata()['key'] === key && existsSync(join(packages.path, 'vendor'))
  if (isKept) await copy(join(packages.path, 'vendor'), vendor, input)
  mkdirSync(cache.path, { recursive: true })
  const said = await composer(input, INSTALL, 'errors')
  cache.describe({ cache: true }, {})
  if (!isKept) {
    packages.clear()
    if (existsSync(vendor)) await copy(vendor, join(packages.path, 'vendor'), input)
  }
  packages.describe({ cache: true }, { key })
  const count = installedCount(said)
  const what = count === null ? 'dependencies unchanged' : `composer install: ${count} package${count === 1 ? '' : 's'}`
  say.detail(what, performance.now() - startedAt)
}

async function composer(
  { php, composer, appDirectory, layersDirectory, env }: ComposerInput,
  args: readonly string[],
  shows: 'all' | 'errors',
): Promise<string> {
  const config = env['CROFT_COMPOSER_CONFIG'] // of the platform: where packages come from
  if (config !== undefined) {
    mkdirSync(COMPOSER_HOME, { recursive: true })
    copyFileSync(config, join(COMPOSER_HOME, 'config.json'))
  }
  const settings = ['-d', `default_socket_timeout=${CONNECT_TIMEOUT}`]
  const ran = await run(php, [...settings, composer, ...args], {
    cwd: appDirectory,
    env: {
      ...env,
      COMPOSER_HOME,
      COMPOSER_CACHE_DIR: join(layersDirectory, 'composer-cache'),
      COMPOSER_MEMORY_LIMIT: '-1',
      COLUMNS: '500', // messages in one piece
    },
    ...(shows === 'all' && { shows }),
  })
  const said = `${ran.stderr}\n${ran.stdout}`
  if (ran.exitCode === 0) return said
  if (shows !== 'all') process.stdout.write(indented(said))
  throw composerFailure(args[0] ?? '', ran.exitCode, said)
}

/** Hard-earned bytes are shared where the disk can. */
async function copy(from: string, to: string, { env }: ComposerInput): Promise<void> {
  const ran = await run('cp', ['-a', '--reflink=auto', '--', from, to], { cwd: '/', env })
  if (ran.exitCode !== 0) throw new Error(`${from} cannot be copied: ${ran.stderr}`)
}

function keyOf({ appDirectory, phpVersion }: ComposerInput): string {
  const hash = createHash('sha256').update(phpVersion)
  for (const file of ['composer.json', 'composer.lock']) {
    const path = join(appDirectory, file)
    hash.update('\0').update(existsSync(path) ? readFileSync(path) : '')
  }
  return hash.digest('hex')
}

function indented(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => `       ${line.trimEnd()}\n`).join('')
}
