import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Layer, say, type LayerTypes } from '@croft/buildpack-kit'
import { carryOver } from './carry-over.js'
import { billOfModules } from './installed-packages.js'
import { dependencyKey, groundKey } from './layer-key.js'
import { isSameLock, onlyAdds } from './only-adds.js'
import { buildScript, hasLocalDependencies, type PackageJson } from './package-json.js'
import type { Installed, PackageTool } from './package-tool.js'
import { runScript } from './run-script.js'
import type { Workspace } from './workspace.js'

export interface InstallInput {
  app: PackageJson
  workspace: Workspace
  layersDirectory: string
  tool: PackageTool
  /** What there is to say of its choice. */
  warnings: readonly string[]
  /** The app's Node and its version. */
  node: string
  nodeVersion: string
  /** For scripts; has the app's Node and the manager first in PATH. */
  env: Record<string, string>
  nodeEnv: string
  /** Distribution and architecture. */
  platform: string
}

/**
 * Installs the app's dependencies and runs its build script.
 *
 * Dependencies are installed into the layer `modules`, which `/workspace/node_modules` links to; the same inputs as last time mean
 * that the manager is not run. An app with scripts that may need development dependencies gets these in a second layer, which only
 * builds see; what the scripts write into node_modules there is carried over.
 */
export class Installer {
  readonly #modules: Layer
  readonly #buildModules: Layer
  readonly #cache: Layer
  #startedAt = 0

  constructor(private readonly input: InstallInput) {
    this.#modules = new Layer(input.layersDirectory, 'modules')
    this.#buildModules = new Layer(input.layersDirectory, 'build-modules')
    this.#cache = new Layer(input.layersDirectory, input.tool.cacheLayer)
  }

  /** @throws BuildFailure */
  async install(): Promise<void> {
    const { app, tool } = this.input
    const hasDependencies = [app.dependencies, app.optionalDependencies, app.devDependencies].some(
      (list) => Object.keys(list).length > 0,
    )
    const isInPlace = tool.mustBeInPlace || hasLocalDependencies(app)
    const scripts = tool.installScripts.filter((name) => app.scripts[name] !== undefined)
    const script = buildScript(app.scripts)
    if (!hasDependencies && !isInPlace) {
      this.#modules.remove()
      this.#buildModules.remove()
      this.#keepCache()
      if (script !== null) await this.#runScript(script)
      return
    }
    say.step('Installing dependencies')
    for (const warning of this.input.warnings) say.warning(warning)
    this.#startedAt = performance.now()
    this.#dropCommitted()
    for (const name of ['heroku-prebuild', 'preinstall']) {
      if (app.scripts[name] !== undefined) await this.#runScript(name)
    }
    const hasScripts = scripts.length > 0 || script !== null
    const needsDev = hasScripts && Object.keys(app.devDependencies).length > 0
    if (isInPlace) await this.#inPlace(needsDev)
    else if (needsDev) await this.#withDevelopment(scripts, script)
    else {
      const isFresh = await this.#provide(this.#modules, false, { launch: true, cache: true }, !hasScripts)
      if (!isFresh) this.#sayUnchanged()
      this.#buildModules.remove()
      this.#linkTo(this.#modules)
      await this.#appScripts(scripts, script)
    }
    for (const place of tool.spends) this.input.workspace.remove(place)
    this.#keepCache()
  }

  /** A node_modules that was committed is replaced: it was made on another machine. */
  #dropCommitted(): void {
    const { tool, workspace } = this.input
    for (const place of tool.replaces) workspace.remove(place)
    if (workspace.remove('node_modules'))
      say.warning('node_modules is committed; it is replaced by what package.json asks for')
  }

  /** The app sees what was installed in the layer. */
  #linkTo(layer: Layer): void {
    for (const place of this.input.tool.leaves) {
      if (existsSync(join(layer.path, place))) this.input.workspace.link(place, join(layer.path, place))
    }
  }

  #keepCache(): void {
    if (existsSync(this.#cache.path)) this.#cache.describe({ cache: true }, {})
  }

  #sayUnchanged(): void {
    say.detail('dependencies unchanged', performance.now() - this.#startedAt)
  }

  /**
   * Fills a layer with the dependencies unless it came back with the same ones; says whether the manager ran. `isPlain`: nothing of
   * the app's writes into it afterwards, so that the next build may add to it.
   */
  async #provide(layer: Layer, withDev: boolean, types: LayerTypes, isPlain = false): Promise<boolean> {
    const { app, workspace, tool, nodeVersion, nodeEnv, platform } = this.input
    const { lockFile } = tool
    const reads = tool.reads.filter((place) => workspace.exists(place))
    const keyInputs = {
      app,
      lock: lockFile === null ? null : (workspace.read(lockFile) ?? null),
      reads: Object.fromEntries(reads.map((place) => [place, workspace.digest(place)])),
      nodeVersion,
      tool: `${tool.name}@${tool.version}`,
      nodeEnv,
      withDev,
      platform,
    }
    const key = dependencyKey(keyInputs)
    // a setting of the app's may make the manager pass over the lock file
    const ground = isPlain && lockFile !== null && reads.length === 0 ? groundKey(keyInputs) : undefined
    const metadata = { key, ...(ground !== undefined && { ground }) }
    const former = layer.metadata()
    if (former['key'] === key && lockFile !== null) {
      layer.describe(types, metadata)
      if (!layer.isBilled) this.#bill(layer, types)
      return false
    }
    const inputs = [...(lockFile === null ? [] : [lockFile]), ...reads]
    const isAdded = ground !== undefined && former['ground'] === ground && (await this.#add(layer, inputs))
    if (!isAdded) {
      layer.clear()
      this.#putInputs(layer, inputs)
      await this.#run(() => tool.install(layer.path, withDev), withDev ? ' with development dependencies' : '')
    }
    this.#takeInputs(layer, inputs)
    mkdirSync(join(layer.path, 'node_modules'), { recursive: true })
    layer.describe(types, metadata)
    this.#bill(layer, types)
    return true
  }

  /** What the manager reads. The app's own scripts run later and in the app: here none of its files are. */
  #putInputs(layer: Layer, inputs: readonly string[]): void {
    const { app, workspace } = this.input
    for (const place of inputs) {
      cpSync(workspace.at(place), join(layer.path, place), { recursive: true, verbatimSymlinks: true })
    }
    writeFileSync(join(layer.path, 'package.json'), JSON.stringify({ ...app.raw, scripts: undefined }))
  }

  #takeInputs(layer: Layer, inputs: readonly string[]): void {
    for (const place of [...inputs, 'package.json', 'package-lock.json']) {
      rmSync(join(layer.path, place), { recursive: true, force: true })
    }
  }

  /** Adds to what came back what a longer lock file asks for; false when that was not possible, and the layer is to be made anew. */
  async #add(layer: Layer, inputs: readonly string[]): Promise<boolean> {
    const { tool, workspace } = this.input
    const { lockFile } = tool
    const wanted = lockFile === null ? undefined : workspace.read(lockFile)
    if (lockFile === null || wanted === undefined || !canAdd(tool)) return false
    const installed = readOr(join(layer.path, 'node_modules/.package-lock.json'), '')
    if (!onlyAdds(installed, wanted)) return false
    this.#putInputs(layer, inputs)
    try {
      await this.#run(() => tool.add(layer.path), ' beside what was there')
    } catch {
      return false // what is wrong says an install from nothing
    }
    // a lock file that does not fit package.json is corrected by npm where it has to be refused
    return isSameLock(readOr(join(layer.path, lockFile), ''), wanted)
  }

  /** Names the packages that the image gets; those that only builds see are in no bill. */
  #bill(layer: Layer, types: LayerTypes): void {
    if (types.launch === true) layer.bill(billOfModules(join(layer.path, 'node_modules')))
  }

  async #run(install: () => Promise<Installed>, how: string): Promise<void> {
    const startedAt = performance.now()
    mkdirSync(this.#cache.path, { recursive: true })
    const { call, packages } = await install()
    const what = packages === null ? 'done' : packages === 1 ? '1 package' : `${packages} packages`
    say.detail(`${call}${how}: ${what}`, performance.now() - startedAt)
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
    const { app, workspace, tool } = this.input
    this.#modules.remove()
    this.#buildModules.remove()
    const script = buildScript(app.scripts)
    const withDev = needsDev || script !== null
    await this.#run(() => tool.install(workspace.directory, withDev), withDev ? ' with development dependencies' : '')
    if (script !== null) await this.#runScript(script)
    if (withDev) {
      const startedAt = performance.now()
      await tool.prune(workspace.directory)
      say.detail('development dependencies removed', performance.now() - startedAt)
    }
    // they are part of the app, so the bill is of no layer
    new Layer(this.input.layersDirectory, 'launch').bill(billOfModules(workspace.at('node_modules')))
  }

  async #appScripts(scripts: readonly string[], script: string | null): Promise<void> {
    for (const name of scripts) await this.#runScript(name)
    if (script !== null) await this.#runScript(script)
  }

  async #runScript(script: string): Promise<void> {
    const { node, tool, workspace, env } = this.input
    await runScript(script, { node, tool: tool.name, cwd: workspace.directory, env: { ...env, ...tool.env } })
  }
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}

function canAdd(tool: PackageTool): tool is PackageTool & Required<Pick<PackageTool, 'add'>> {
  return tool.add !== undefined
}
