import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { BuildFailure, Layer, runBuild } from '@croft/buildpack-kit'
import { RUBY_FILES } from '@croft/stacks'
import { formerOf, GemInstaller } from './gems.js'
import { precompileAssets } from './rails.js'
import { checkedRuby, provideRuby } from './ruby-layer.js'
import { isRails, startLine } from './start-command.js'

/** `bin/build` of the Ruby buildpack: Ruby, gems, assets, and how the app is started. */

/** What the app's processes get unless config vars say otherwise. */
const RACK = { 'RACK_ENV.default': 'production' }
const RAILS = {
  'RAILS_ENV.default': 'production',
  'RAILS_LOG_TO_STDOUT.default': 'enabled',
  'RAILS_SERVE_STATIC_FILES.default': 'enabled',
}
/** The platform makes a value once for an app that has none, and keeps it among the app's config vars, out of the image. */
const SECRETS_LABEL = { key: 'io.croft.generated-config', value: 'SECRET_KEY_BASE' }

await runBuild(async ({ layersDirectory, appDirectory, env }) => {
  const exists = (file: string): boolean => existsSync(join(appDirectory, file))
  const texts = RUBY_FILES.filter(exists).map((name) => [name, readFileSync(join(appDirectory, name), 'utf8')] as const)
  const stack = `${env['CNB_TARGET_DISTRO_NAME'] ?? ''}-${env['CNB_TARGET_DISTRO_VERSION'] ?? ''}`
  const asked = checkedRuby(new Map(texts), stack)

  const rubyLayer = new Layer(layersDirectory, 'ruby')
  const gemsLayer = new Layer(layersDirectory, 'gems')
  const withDebs = (packages: readonly string[]): ReturnType<typeof provideRuby> =>
    provideRuby(rubyLayer, asked, packages, env)
  const former = formerOf(gemsLayer)
  const gems = await new GemInstaller({
    appDirectory,
    layer: gemsLayer,
    ruby: await withDebs(former?.source === 'debian' ? former.packages : []),
    withDebs,
    env,
    platform: `${stack}-${process.arch}`,
  }).install()

  const names = new Set(gems.lock.gems.map(({ name }) => name))
  const shape = { gems: names, exists }
  const isRailsApp = isRails(shape)
  const line = startLine(shape)
  if (line === null && !exists('Procfile')) {
    throw new BuildFailure(
      'nothing says how the app is started',
      exists('config.ru')
        ? 'add  gem "puma"  to the Gemfile, or a Procfile with a line  web: ...'
        : 'add a config.ru, or a Procfile with a line  web: bundle exec ruby app.rb',
    )
  }
  const settings = new Layer(layersDirectory, 'settings')
  settings.clear()
  settings.launchEnv({ ...RACK, ...(isRailsApp && RAILS) })
  settings.describe({ launch: true }, {})
  const assets = new Layer(layersDirectory, 'assets')
  if (isRailsApp) await precompileAssets({ appDirectory, gems: names, env: gems.env, cache: assets })
  else assets.remove()

  const processes = line === null ? [] : [{ type: 'web', command: ['bash', '-c'], args: [line], default: true }]
  const launch = { ...(line !== null && { processes }), ...(isRailsApp && { labels: [SECRETS_LABEL] }) }
  writeFileSync(join(layersDirectory, 'launch.toml'), `${stringify(launch)}\n`)
})
