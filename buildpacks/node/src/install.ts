import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { Layer, run, say } from '@croft/buildpack-kit'
import { dependencyKey } from './layer-key.js'
import type { NodeLayer } from './node-layer.js'
import { npmFailure, packageCount } from './npm-messages.js'
import { buildScript, hasLocalDependencies, INSTALL_SCRIPTS, type PackageJson } from './package-json.js'

export interface InstallInput {
  app: PackageJson
  appDirectory: string
  layersDirectory: string
  node: NodeLayer
  /** For npm and scripts; has the layer's Node first in PATH. */
  env: Record<string, string>
  nodeEnv: string
  /** Distribution and architecture. */
  platform: string
}

const LOCK_FILES = ['package-lock.json', 'npm-shrinkwrap.json']
const QUIET = ['--no-update-notifier', '--logs-max=0', '--loglevel=error']
const FLAGS = [...QUIET, '--no-audit', '--no-fund', '--no-progress', '--prefer-offline']

/**
 * Installs the app's dependencies and runs its build script.
 *
 * Dependencies are installed into the layer `modules`, which `/workspace/node_modules` links to; the same inputs as last time mean
 * that npm is not run. An app with scripts that may need development dependencies gets these in a second layer, which only
 * builds see; what the scripts write into node_modules there is carried over.
 */
export class Installer {
  readonly #modules: Layer
  readonly #buildModules: Layer
  readonly #cache: Layer
  readonly #lockFile: string | null
  readonly #link: string
  #startedAt = 0

  constructor(private readonly input: InstallInput) {
    const { layersDirectory, appDirectory } = input
    this.#modules = new Layer(layersDirectory, 'modules')
    this.#buildModules = new Layer(layersDirectory, 'build-modules')
    this.#cache = new Layer(layersDirectory, 'npm-cache')
    this.#lockFile = LOCK_FILES.find((file) => existsSync(join(appDirectory, file))) ?? null
    this.#link = join(appDirectory, 'node_modules')
  }

  async install(): Promise<void> {
    const { app } = this.input
    const hasDependencies = [app.dependencies, app.optionalDependencies, app.devDependencies].some(
      (list) => Object.keys(list).length > 0,
    )
    const scripts = INSTALL_SCRIPTS.filter((name) => app.scripts[name] !== undefined)
    const script = buildScript(app.scripts)
    if (!hasDependencies && !app.hasWorkspaces) {
      this.#modules.remove()
      this.#buildModules.remove()
      this.#keepCache()
      if (script !== null) await this.#runScript(script)
      return
    }
    say.step('Installing dependencies')
    this.#startedAt = performance.now()
    this.#dropCommitted()
    for (const name of ['heroku-prebuild', 'preinstall']) {
      if (app.scripts[name] !== undefined) await this.#runScript(name)
    }
    const needsDev = (scripts.length > 0 || script !== null) && Object.keys(app.devDependencies).length > 0
    if (hasLocalDependencies(app)) await this.#inPlace(needsDev)
    else if (needsDev) await this.#withDevelopment(scripts, script)
    else {
      const isFresh = await this.#provide(this.#modules, false, { launch: true, cache: true })
      if (!isFresh) this.#sayUnchanged()
      this.#buildModules.remove()
      this.#linkTo(this.#modules)
      await this.#appScripts(scripts, script)
    }
    this.#keepCache()
  }

  /** A node_modules that was committed is replaced: it was made on another machine. */
  #dropCommitted(): void {
    if (lstatSync(this.#link, { throwIfNoEntry: false }) === undefined) return
    say.warning('node_modules is committed; it is replaced by what package.json asks for')
    rmSync(this.#link, { recursive: true, force: true })
  }

  #linkTo(layer: Layer): void {
    rmSync(this.#link, { force: true })
    symlinkSync(join(layer.path, 'node_modules'), this.#link)
  }

  #keepCache(): void {
    if (!existsSync(this.#cache.path)) return
    this.#cache.describe({ cache: true }, {})
  }

  #sayUnchanged(): void {
    say.detail('dependencies unchanged', performance.now() - this.#startedAt)
  }

  /** Fills a layer with the dependencies unless it came back with the same ones; says whether npm ran. */
  async #provide(
    layer: Layer,
    withDev: boolean,
    types: { launch?: boolean; build?: boolean; cache: boolean },
  ): Promise<boolean> {
    const { app, node, nodeEnv, platform } = this.input
    const key = dependencyKey({
      app,
      lock: this.#lockFile === null ? null : this.#read(this.#lockFile),
      npmrc: this.#read('.npmrc'),
      nodeVersion: node.version,
      npmVersion: node.npmVersion,
      nodeEnv,
      withDev,
      platform,
    })
    const startedAt = performance.now()
    if (layer.metadata()['key'] === key && this.#lockFile !== null) {
      layer.describe(types, { key })
      return false
    }
    layer.clear()
    const files = [this.#lockFile, '.npmrc'].filter(
      (file): file is string => file !== null && this.#read(file) !== null,
    )
    for (const file of files) cpSync(join(this.input.appDirectory, file), join(layer.path, file))
    // The app's own scripts run later and in the app: here none of its files are.
    writeFileSync(join(layer.path, 'package.json'), JSON.stringify({ ...app.raw, scripts: undefined }))
    await this.#npm(layer.path, withDev, startedAt)
    for (const file of [...files, 'package.json', 'package-lock.json']) rmSync(join(layer.path, file), { force: true })
    mkdirSync(join(layer.path, 'node_modules'), { recursive: true })
    layer.describe(types, { key })
    return true
  }

  async #npm(cwd: string, withDev: boolean, startedAt: number): Promise<void> {
    const verb = this.#lockFile === null ? 'install' : 'ci'
    if (this.#lockFile === null) {
      say.warning('there is no package-lock.json: versions may differ from one build to the next')
      const other = ['yarn.lock', 'pnpm-lock.yaml'].find((file) => this.#read(file) !== null)
      if (other !== undefined) say.warning(`${other} is not read; run npm install and commit package-lock.json`)
    }
    mkdirSync(this.#cache.path, { recursive: true })
    const args = [
      this.#npmCli(),
      verb,
      ...FLAGS,
      withDev ? '--include=dev' : '--omit=dev',
      `--cache=${this.#cache.path}`,
    ]
    const ran = await run(join(this.input.node.bin, 'node'), args, { cwd, env: this.input.env, shows: 'errors' })
    if (ran.exitCode !== 0) throw npmFailure(`npm ${verb}`, ran.exitCode, ran.stderr + ran.stdout)
    const count = packageCount(ran.stdout)
    const what = count === null ? 'done' : count === 1 ? '1 package' : `${count} packages`
    say.detail(`npm ${verb}${withDev ? ' with development dependencies' : ''}: ${what}`, performance.now() - startedAt)
  }

  #npmCli(): string {
    return join(this.input.node.bin, '../lib/node_modules/npm/bin/npm-cli.js')
  }

  #read(file: string): string | null {
    try {
      return readFileSync(join(this.input.appDirectory, file), 'utf8')
    } catch {
      return null
    }
  }

  /** Scripts see everything; the image gets what is needed to run, and what the scripts wrote. */
  async #withDevelopment(scripts: readonly string[], script: string | null): Promise<void> {
    const isFresh = [
      await this.#provide(this.#buildModules, true, { build: true, cache: true }),
      await this.#provide(this.#modules, false, { launch: true, cache: true }),
    ].some(Boolean)
    if (!isFresh) this.#sayUnchanged()
    this.#linkTo(this.#buildModules)
    const startedAt = Date.now()
    await this.#appScripts(scripts, script)
    carryOver(join(this.#buildModules.path, 'node_modules'), join(this.#modules.path, 'node_modules'), startedAt)
    this.#linkTo(this.#modules)
  }

  /** Dependencies inside the app's own folders are installed where they are. */
  async #inPlace(needsDev: boolean): Promise<void> {
    const { app, appDirectory } = this.input
    this.#modules.remove()
    this.#buildModules.remove()
    const script = buildScript(app.scripts)
    await this.#npm(appDirectory, needsDev || script !== null, performance.now())
    if (script !== null) await this.#runScript(script)
    if (!needsDev && script === null) return
    const startedAt = performance.now()
    const pruned = await run(
      join(this.input.node.bin, 'node'),
      [this.#npmCli(), 'prune', '--omit=dev', '--ignore-scripts', ...FLAGS, `--cache=${this.#cache.path}`],
      { cwd: appDirectory, env: this.input.env, shows: 'errors' },
    )
    if (pruned.exitCode !== 0) throw npmFailure('npm prune', pruned.exitCode, pruned.stderr + pruned.stdout)
    say.detail('development dependencies removed', performance.now() - startedAt)
  }

  async #appScripts(scripts: readonly string[], script: string | null): Promise<void> {
    for (const name of scripts) await this.#runScript(name)
    if (script !== null) await this.#runScript(script)
  }

  async #runScript(name: string): Promise<void> {
    const startedAt = performance.now()
    say.step(`Running the script ${name}`)
    const ran = await run(join(this.input.node.bin, 'node'), [this.#npmCli(), 'run', name, ...QUIET], {
      cwd: this.input.appDirectory,
      env: this.input.env,
      shows: 'all',
    })
    if (ran.exitCode !== 0) throw npmFailure(`the script ${name}`, ran.exitCode, ran.stderr)
    say.detail('done', performance.now() - startedAt)
  }
}

/** Copies what was written below `from` since `sinceMs` to the same place below `to`; caches of tools stay behind. */
export function carryOver(from: string, to: string, sinceMs: number): void {
  for (const entry of readdirSync(from, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const place = relative(from, path)
    if (/^\.(cache|package-lock\.json)(\/|$)/.test(place) || statSync(path).ctimeMs < sinceMs) continue
    mkdirSync(dirname(join(to, place)), { recursive: true })
    cpSync(path, join(to, place))
  }
}
