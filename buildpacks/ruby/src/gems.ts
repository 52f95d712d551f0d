import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { availableDebs, BuildFailure, Layer, say } from '@croft/buildpack-kit'
import { languagePackage, layerBill } from '@croft/stacks'
import { Bundler } from './bundler.js'
import { bundlerFailure, isUnreachable } from './bundler-messages.js'
import { debianPackage, describeDisagreements, disagreements, presentGems } from './debian-gems.js'
import { closure, parseGemfileLock, type GemfileLock } from './gemfile-lock.js'
import { gemsKey } from './gems-key.js'
import { gemSpecifications, type RubyLayer } from './ruby-layer.js'

export interface GemsInput {
  appDirectory: string
  layer: Layer
  /** What was provided so far; `withDebs` makes it anew with gems of Debian. */
  ruby: RubyLayer
  withDebs(packages: readonly string[]): Promise<RubyLayer>
  env: Record<string, string>
  /** `debian-12`, with the architecture. */
  platform: string
}

export interface Gems {
  ruby: RubyLayer
  /** For programs of the app. */
  env: Record<string, string>
  lock: GemfileLock
}

const REMEDY =
  'run `bundle cache` and commit vendor/cache, or lock the versions that are there, or have the platform reach a gem server (its settings rubygems-mirror and proxy, or BUNDLE_MIRROR)'
const SKIPPED_GROUPS = 'development:test'

/** Where gems came from, as the layer's metadata says it. */
type Source = 'vendored' | 'registry' | 'debian'

/**
 * Installs the gems of the app: those in `vendor/cache` when they are all there, else from the gem servers the Gemfile names,
 * else, where none of them answers, Debian's packages when they are the very versions of the lock file. The layer `gems` holds the
 * first two, and for all three what Bundler needs to know in the image; the same inputs as last time mean that it is not run.
 */
export class GemInstaller {
  readonly #input: GemsInput
  readonly #gemfile: string
  readonly #lockFile: string
  readonly #hasLock: boolean
  readonly #startedAt = performance.now()

  constructor(input: GemsInput) {
    this.#input = input
    const hasGemfile = existsSync(join(input.appDirectory, 'Gemfile'))
    this.#gemfile = hasGemfile ? 'Gemfile' : 'gems.rb'
    this.#lockFile = hasGemfile ? 'Gemfile.lock' : 'gems.locked'
    this.#hasLock = existsSync(join(input.appDirectory, this.#lockFile))
  }

  /** @throws BuildFailure */
  async install(): Promise<Gems> {
    const { layer, ruby } = this.#input
    say.step('Installing dependencies')
    if (!this.#hasLock) {
      say.warning(`there is no ${this.#lockFile}: versions may differ from one build to the next`)
    }
    const former = formerOf(layer)
    if (former !== null && former.key === this.#key(ruby, former.source)) {
      say.detail('dependencies unchanged', performance.now() - this.#startedAt)
      if (!this.#hasLock) copyFileSync(join(layer.path, 'lock'), this.#path(this.#lockFile))
      this.#describe(former.key, former.source, former.packages)
      return this.#gems(ruby, former.source)
    }
    if (former?.source !== 'registry' && former?.source !== 'vendored') layer.clear()
    mkdirSync(layer.path, { recursive: true })
    const tried = (await this.#vendored()) ?? (await this.#fromServers())
    if (tried !== null) return tried
    layer.clear()
    return this.#fromDebian()
  }

  /** The gems in vendor/cache alone; null without them, or when some are missing. */
  async #vendored(): Promise<Gems | null> {
    if (this.#vendoredGems().length === 0) return null
    const { ruby } = this.#input
    const ran = await this.#bundler(ruby, 'vendored').bundle('install', '--local')
    const output = `${ran.stdout}\n${ran.stderr}`
    if (ran.exitCode === 0) return this.#installed(ruby, 'vendored', countIn(output))
    const missing = missingIn(output)
    if (missing === null) throw this.#failure('bundle install --local', ran.exitCode, output)
    say.detail(`vendor/cache does not have ${missing}; asking the gem servers`)
    return null
  }

  /** From the servers the Gemfile names; null where none answers. */
  async #fromServers(): Promise<Gems | null> {
    const { ruby } = this.#input
    const ran = await this.#bundler(ruby, 'registry').bundle('install')
    const output = `${ran.stdout}\n${ran.stderr}`
    if (ran.exitCode === 0) return this.#installed(ruby, 'registry', countIn(output))
    const missing = missingIn(output)
    if (this.#vendoredGems().length > 0 && (missing !== null || isUnreachable(output))) {
      throw new BuildFailure(
        `vendor/cache does not have ${missing ?? 'every gem of the app'}, and no gem server gives it`,
        'run `bundle cache --all`, commit vendor/cache and push again',
      )
    }
    if (!isUnreachable(output)) throw this.#failure('bundle install', ran.exitCode, output)
    say.detail('no gem server answers; taking gems from Debian')
    return null
  }

  #failure(what: string, exitCode: number | null, output: string): BuildFailure {
    process.stdout.write(`${output.trim()}\n`)
    return bundlerFailure(what, exitCode, output)
  }

  async #fromDebian(): Promise<Gems> {
    const { env, appDirectory } = this.#input
    const named = await this.#bundler(this.#input.ruby, 'debian').named()
    const skipped = new Set(this.#without().split(/[:\s]+/))
    const wanted = named.filter(({ groups }) => !this.#hasLock || groups.some((group) => !skipped.has(group)))
    const names = wanted.map(({ name }) => name)
    const lock = this.#hasLock ? parseGemfileLock(readFileSync(join(appDirectory, this.#lockFile), 'utf8')) : null
    const locked = lock === null ? [] : closure(lock, names)
    const foreign = locked.find(({ source }) => source === 'git')
    if (foreign !== undefined) {
      throw new BuildFailure(`${foreign.name} comes from a git repository, and no server answers`, REMEDY)
    }

    const all = [
      ...new Set([...names, ...locked.filter(({ source }) => source === 'registry').map(({ name }) => name)]),
    ]
    const own = presentGems(gemSpecifications(this.#input.ruby.places))
    const candidates = all.filter((name) => !own.has(name) || names.includes(name)).map(debianPackage)
    const available = await availableDebs(candidates, { env })
    const packages = candidates.filter((name) => available.has(name)).toSorted()
    const ruby = await this.#input.withDebs(packages)
    const present = presentGems(gemSpecifications(ruby.places))
    const nowhere = all.filter(
      (name) => !present.has(name) && !locked.some((gem) => gem.name === name && gem.source === 'path'),
    )
    const differing = disagreements(locked, present)
    if (differing.length > 0) {
      throw new BuildFailure(
        `no gem server answers, and Debian's gems are not those of ${this.#lockFile}: ${describeDisagreements(differing)}`,
        REMEDY,
      )
    }
    if (nowhere.length > 0) {
      throw new BuildFailure(`no gem server answers, and Debian has no package of ${nowhere.join(', ')}`, REMEDY)
    }
    const bundler = this.#bundler(ruby, 'debian')
    if (lock === null) await bundler.require('lock', '--local')
    else await bundler.require('check')
    return this.#installed(ruby, 'debian', all.length, packages)
  }

  /** Keeps what is needed to do without all this next time. */
  #installed(ruby: RubyLayer, source: Source, count: number | null, packages: readonly string[] = []): Gems {
    const { layer } = this.#input
    for (const folder of ['cache', 'build_info', 'doc']) {
      rmSync(join(layer.path, 'ruby', ruby.places.abi, folder), { recursive: true, force: true })
    }
    if (!this.#hasLock) copyFileSync(this.#path(this.#lockFile), join(layer.path, 'lock'))
    writeEnv(layer, this.#settings(ruby, source))
    this.#describe(this.#key(ruby, source), source, packages)
    const from = { vendored: 'vendor/cache', registry: 'the gem servers', debian: 'Debian' }[source]
    const what = count === null ? 'gems' : `${count} gem${count === 1 ? '' : 's'}`
    say.detail(`${what} from ${from}`, performance.now() - this.#startedAt)
    return this.#gems(ruby, source)
  }

  #describe(key: string, source: Source, packages: readonly string[]): void {
    const { layer, ruby } = this.#input
    layer.describe({ launch: true, build: true, cache: true }, { key, source, packages: [...packages] })
    // gems of Debian are packages of another layer
    const folder = join(layer.path, 'ruby', ruby.places.abi, 'specifications')
    const gems = presentGems(existsSync(folder) ? readdirSync(folder) : [])
    const components = [...gems].flatMap(([name, versions]) =>
      [...versions].map((version) => languagePackage('gem', name, version)),
    )
    layer.bill(layerBill(components))
  }

  #gems(ruby: RubyLayer, source: Source): Gems {
    return {
      ruby,
      env: this.#bundler(ruby, source).env,
      lock: parseGemfileLock(readFileSync(this.#path(this.#lockFile), 'utf8')),
    }
  }

  #bundler(ruby: RubyLayer, source: Source): Bundler {
    return new Bundler(ruby, this.#input.appDirectory, {
      ...this.#settings(ruby, source),
      BUNDLE_JOBS: '4',
      BUNDLE_RETRY: '1',
      BUNDLE_TIMEOUT: '15',
      ...(source !== 'debian' && { BUNDLE_CLEAN: 'true' }),
      HOME: '/tmp',
    })
  }

  /** What Bundler has to know, in the build and in the image. The app's own `.bundle/config` was made for another machine. */
  #settings(ruby: RubyLayer, source: Source): Record<string, string> {
    const { layer } = this.#input
    return {
      BUNDLE_APP_CONFIG: join(layer.path, 'bundle'),
      BUNDLE_WITHOUT: this.#without(),
      BUNDLE_SILENCE_ROOT_WARNING: 'true',
      BUNDLE_USER_HOME: '/tmp/bundle',
      BUNDLER_VERSION: ruby.bundlerVersion,
      ...(this.#hasLock && { BUNDLE_FROZEN: 'true' }),
      ...(source === 'debian' ? { GEM_HOME: join(layer.path, 'home') } : { BUNDLE_PATH: layer.path }),
    }
  }

  #without(): string {
    return this.#input.env['BUNDLE_WITHOUT'] ?? SKIPPED_GROUPS
  }

  #key(ruby: RubyLayer, source: Source): string {
    const specifications = readdirSync(this.#input.appDirectory).filter((name) => name.endsWith('.gemspec'))
    const names = [this.#gemfile, this.#lockFile, ...specifications]
    // A lock file that this build wrote is an output.
    const read = names.filter((name) => name !== this.#lockFile || this.#hasLock)
    return gemsKey({
      texts: Object.fromEntries(read.map((name) => [name, readFileSync(this.#path(name), 'utf8')])),
      vendored: this.#vendoredGems().map((name) => `${name} ${statSync(this.#path(`vendor/cache/${name}`)).size}`),
      rubyVersion: ruby.version,
      bundlerVersion: ruby.bundlerVersion,
      without: this.#without(),
      platform: source === 'debian' ? `${this.#input.platform} ${ruby.debs}` : this.#input.platform,
    })
  }

  #vendoredGems(): string[] {
    const folder = this.#path('vendor/cache')
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.gem')) : []
  }

  #path(name: string): string {
    return join(this.#input.appDirectory, name)
  }
}

/** What the former build recorded of its gems. */
export function formerOf(layer: Layer): { key: string; source: Source; packages: string[] } | null {
  const { key, source, packages } = layer.metadata()
  if (typeof key !== 'string' || (source !== 'vendored' && source !== 'registry' && source !== 'debian')) return null
  return { key, source, packages: Array.isArray(packages) ? packages.filter((name) => typeof name === 'string') : [] }
}

/** The gem that Bundler did not find where it looked. */
function missingIn(output: string): string | null {
  return /Could not find (?!compatible)(?:gem ')?([^\s']+)/.exec(output)?.[1] ?? null
}

function writeEnv(layer: Layer, settings: Record<string, string>): void {
  rmSync(join(layer.path, 'env'), { recursive: true, force: true })
  layer.env(Object.fromEntries(Object.entries(settings).map(([name, value]) => [`${name}.override`, value])))
}

/** `Bundle complete! 2 Gemfile dependencies, 8 gems now installed.` */
function countIn(output: string): number | null {
  const count = /, (\d+) gems? now installed/.exec(output)?.[1]
  return count === undefined ? null : Number(count)
}
