import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, lstatSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { BuildFailure, run, say, type Layer } from '@croft/buildpack-kit'
import { settleAssets } from './settled-assets.js'

/** Gems that bring `assets:precompile`. */
const PIPELINES = [
  'sprockets-rails',
  'propshaft',
  'webpacker',
  'shakapacker',
  'vite_rails',
  'jsbundling-rails',
  'cssbundling-rails',
]
/** Addresses that no database has, for apps that read DATABASE_URL while they load; nothing is connected to. */
const DATABASES: Record<string, string> = {
  pg: 'postgresql://user:pass@127.0.0.1/none',
  mysql2: 'mysql2://user:pass@127.0.0.1/none',
  trilogy: 'trilogy://user:pass@127.0.0.1/none',
  sqlite3: 'sqlite3:/tmp/none.sqlite3',
}

/** Whether the app has assets that are made by a build and are not there yet. */
export function needsAssets(gems: ReadonlySet<string>, publicFiles: readonly string[]): boolean {
  const isMade = publicFiles.some((name) => /^(\.sprockets-manifest|manifest|\.manifest)[-\w]*\.json$/.test(name))
  return !isMade && PIPELINES.some((name) => gems.has(name))
}

/** What the app sees while its assets are made: a key that signs nothing, and no database. */
export function assetsEnv(gems: ReadonlySet<string>, env: Record<string, string>): Record<string, string> {
  const adapter = Object.keys(DATABASES).find((name) => gems.has(name))
  return {
    RAILS_ENV: 'production',
    RACK_ENV: 'production',
    NODE_ENV: 'production',
    RAILS_LOG_TO_STDOUT: 'enabled', // and not into a file of the image
    SECRET_KEY_BASE: 'only-for-the-build',
    SECRET_KEY_BASE_DUMMY: '1',
    ...(adapter !== undefined && { DATABASE_URL: DATABASES[adapter] ?? '' }),
    ...env,
  }
}

/** Makes the assets of a Rails app; what its tools keep between builds lies in `cache`. @throws BuildFailure */
export async function precompileAssets(input: {
  appDirectory: string
  gems: ReadonlySet<string>
  env: Record<string, string>
  cache: Layer
}): Promise<void> {
  const { appDirectory, gems, cache } = input
  const folder = join(appDirectory, 'public/assets')
  if (!needsAssets(gems, existsSync(folder) ? readdirSync(folder) : [])) {
    cache.remove()
    return
  }
  const startedAt = performance.now()
  say.step('Preparing assets (rake assets:precompile)')
  const kept = join(appDirectory, 'tmp/cache/assets')
  const isKept = lstatSync(kept, { throwIfNoEntry: false }) === undefined
  if (isKept) {
    mkdirSync(cache.path, { recursive: true })
    mkdirSync(dirname(kept), { recursive: true })
    symlinkSync(cache.path, kept)
  }
  const ran = await run('bundle', ['exec', 'rake', 'assets:precompile'], {
    cwd: appDirectory,
    env: assetsEnv(gems, input.env),
  })
  const output = `${ran.stdout}\n${ran.stderr}`
  if (ran.exitCode !== 0) {
    if (/Don't know how to build task ['"]assets:precompile/.test(output)) {
      say.detail('there is no task assets:precompile')
      return
    }
    process.stdout.write(`${output.trim()}\n`)
    throw new BuildFailure(
      `rake assets:precompile failed: ${causeIn(output)}`,
      'run `RAILS_ENV=production SECRET_KEY_BASE=x bundle exec rake assets:precompile` on your machine, or commit public/assets',
    )
  }
  settleAssets(folder)
  if (isKept) {
    rmSync(kept)
    cache.describe({ cache: true }, {})
  }
  say.detail('done', performance.now() - startedAt)
}

function causeIn(output: string): string {
  const lines = output.split('\n').map((line) => line.trim())
  const cause = lines.find((line) => /(?:Error|Exception|not found|cannot)\b/.test(line) && !line.startsWith('/'))
  return (cause ?? lines.findLast((line) => line !== '') ?? 'no reason given').slice(0, 200)
}
