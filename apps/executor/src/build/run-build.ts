import { readFile } from 'node:fs/promises'
import type { Container } from '@croft/garden-api'
import { isDigest, messageOf } from '@croft/kit'
import type { Image } from '@croft/oci'
import type { BuildResult, BuildSpec, BuildWishes } from '@croft/protocol'
import {
  build,
  buildpackEnv,
  describeProcess,
  detect,
  humanBytes,
  inheritedEnv,
  LIFECYCLE_LABEL,
  LifecycleError,
  parseLifecycleLabel,
  processArgv,
  type BuildCache,
  type Buildpack,
  type Built,
  type Detected,
  type Env,
  type LifecycleLabel,
  type Target,
} from '@croft/lifecycle'
import { addedBuildpacks } from '../buildpack/added-buildpacks.js'
import { bringsBuildpacks, wishedBuildpacks } from '../buildpack/wished-buildpacks.js'
import type { BaseImage } from '../image/base-image.js'
import { AppCache } from './build-cache.js'
import { BuildContainer, buildContainerSpec, BUILDPACKS, EXEC_ENV, LAYERS, operatorEnv } from './build-container.js'
import { makeBuildFolders, writePlatformEnv, type BuildFolders } from './build-folders.js'
import { BuildLog } from './build-log.js'
import { exportImage, type Exported } from './export-image.js'
import { canceled, DiskFull, failureOf, LogFull, SourceFailed, TimedOut, TooManyProcesses } from './failures.js'
import { readInstalledBuildpacks, type InstalledBuildpacks } from './installed-buildpacks.js'
import { watchLimits } from './limit-watch.js'
import type { BuildContext, BuildPorts } from './ports.js'
import { rebaseImage } from './rebase-image.js'
import { restoreLayers, type Restored } from './restore-layers.js'

/** By this label a buildpack names config vars of which the platform makes a random value once; none of it is in the image. */
const GENERATED_CONFIG_LABEL = 'io.croft.generated-config'
const MAX_GENERATED = 10
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Runs one build from source to image: unpack, detect, restore, build, export. Only `bin/detect` and `bin/build` run in the build
 * container; everything else happens here. Never throws: what went wrong is in the result. `signal` cancels; in every case the
 * container is gone and the folders are removed when this returns.
 */
export async function runBuild(
  spec: BuildSpec,
  context: BuildContext,
  ports: BuildPorts,
  signal: AbortSignal,
): Promise<BuildResult> {
  const logger = ports.logger.child({ build: spec.buildId, app: context.appId, instance: context.instanceId })
  const stop = new AbortController()
  const log = new BuildLog({
    send: (text, stop) => ports.controller.log(spec.buildId, text, stop),
    clock: ports.clock,
    logger,
    onFull: () => stop.abort(new LogFull()),
  })
  const onCancel = (): void => stop.abort(signal.reason)
  signal.addEventListener('abort', onCancel, { once: true })
  if (signal.aborted) onCancel()
  ports.clock.sleep(spec.timeoutMs, stop.signal).then(
    () => stop.abort(new TimedOut()),
    () => undefined,
  )
  const startedAt = ports.clock.monotonic()
  try {
    const result =
      spec.isRebase === true
        ? await rebased(spec, context, ports, log, stop.signal)
        : await new Build(spec, context, { ...ports, logger }, log, stop).run()
    logger.info('build-finished', { tookMs: Math.round(ports.clock.monotonic() - startedAt), image: result.image })
    return result
  } catch (thrown) {
    if (signal.aborted) return canceled()
    const error: unknown = stop.signal.aborted ? stop.signal.reason : thrown
    const failure = failureOf(error, spec)
    if (failure.reason === 'internal' || failure.reason === 'export') logger.error('build-broke', { error })
    else logger.info('build-failed', { reason: failure.reason, why: failure.message, exitCode: exitCodeOf(error) })
    return failure
  } finally {
    signal.removeEventListener('abort', onCancel)
    stop.abort(new Error('the build is over'))
    await log.close()
  }
}

/** No container, no buildpack: two documents are written. */
async function rebased(
  spec: BuildSpec,
  context: BuildContext,
  ports: BuildPorts,
  log: BuildLog,
  signal: AbortSignal,
): Promise<Succeeded> {
  const { image, newLayers, newBytes } = await rebaseImage(spec.previousImage ?? '', context, ports, signal)
  log.step(newLayers === 0 ? 'The base image is the present one already' : `Rebasing to image ${image.slice(0, 19)}...`)
  return { outcome: 'succeeded', image, processTypes: {}, newLayers, newBytes }
}

class Build {
  readonly #startedAt: number

  constructor(
    private readonly spec: BuildSpec,
    private readonly context: BuildContext,
    private readonly ports: BuildPorts,
    private readonly log: BuildLog,
    private readonly stop: AbortController,
  ) {
    this.#startedAt = ports.clock.monotonic()
  }

  async run(): Promise<Succeeded> {
    const { ports, spec, context } = this
    const [made, ...others] = await Promise.allSettled([
      makeBuildFolders(ports.paths, context.handle, {}),
      ports.bases.current(spec.stack),
      readInstalledBuildpacks(ports.paths.buildpacks, BUILDPACKS),
      this.#previousImage(),
      ports.controller.wishes(spec.buildId, this.stop.signal),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ])
    if (made.status === 'rejected') throw made.reason
    const folders = made.value
    try {
      const [base, own, previous, wishes, bootId] = await allOf(others)
      const added = await addedBuildpacks(ports.paths.addedBuildpacks, wishes.team)
      const installed = { ...own, buildpacks: [...own.buildpacks, ...added] }
      await writePlatformEnv(folders, { ...wishes.env, ...spec.env })
      const appCache = new AppCache({
        caches: ports.paths.caches,
        appId: context.appId,
        drafts: folders.drafts,
        bootId: bootId.trim(),
        logger: ports.logger,
      })
      return await this.#inFolders({ folders, base, installed, previous, appCache, wishes, hasAdded: added.length > 0 })
    } finally {
      folders.remove().catch((error: unknown) => ports.logger.warn('build-not-removed', { why: messageOf(error) }))
    }
  }

  async #inFolders(input: BuildInputs): Promise<Succeeded> {
    const { ports } = this
    const restored = await this.#restore(input)
    const trees = new Map([...restored].flatMap(([key, { tree }]) => (tree === null ? [] : [[key, tree] as const])))
    const container = await this.#create(input, [...new Set(trees.values())])
    let built: Built
    try {
      built = await this.#build(container, trees, input)
      // From here on nothing of the tenant runs: what it wrote is sealed, and the rest of the container can go meanwhile.
      await container.stop({ kill: true })
    } catch (error) {
      await this.#destroy(container)
      throw error
    }
    const startedAt = ports.clock.monotonic()
    const destroying = this.#destroy(container)
    try {
      const exported = await exportImage(
        {
          appId: this.context.appId,
          built,
          base: input.base,
          folders: input.folders,
          restored,
          previous: input.previous,
          appCache: input.appCache,
          architecture: ARCHITECTURES[process.arch] ?? process.arch,
          signal: this.stop.signal,
        },
        ports,
      )
      await input.appCache.write(exported.cache)
      this.log.step(exportLine(exported), ports.clock.monotonic() - startedAt)
      return succeeded(exported, built)
    } finally {
      await destroying
    }
  }

  /** Layers are restored before it is known which buildpacks take part: mounting is all it costs. */
  async #restore({ folders, installed, previous, appCache }: BuildInputs): Promise<Map<string, Restored>> {
    const { ports, spec } = this
    const text = previous?.config.config?.Labels?.[LIFECYCLE_LABEL]
    const label = spec.isClean ? null : parseLifecycleLabel(text)
    const cache = spec.isClean ? {} : await appCache.read()
    return restoreLayers({
      group: [...idsOf(installed, label, cache)].map((id) => ({ id })),
      appId: this.context.appId,
      label,
      previous,
      cache,
      appCache,
      layers: ports.layers,
      images: ports.images,
      folders,
      logger: ports.logger,
      signal: this.stop.signal,
    })
  }

  async #create({ folders, wishes, hasAdded }: BuildInputs, trees: string[]): Promise<Container> {
    const { ports, spec, context } = this
    const packageLists = await ports.packageLists.folder(spec.stack)
    const containerSpec = buildContainerSpec({
      spec,
      context,
      paths: ports.paths,
      folders,
      trees,
      packageLists,
      hasForeign: bringsBuildpacks(wishes),
      hasAdded,
    })
    return ports.backend.create(containerSpec, this.stop.signal)
  }

  /** Everything that runs in the container. */
  async #build(
    container: Container,
    trees: ReadonlyMap<string, string>,
    { folders, base, installed, wishes, appCache }: BuildInputs,
  ): Promise<Built> {
    const { ports, spec } = this
    const { signal } = this.stop
    const source = ports.controller.source(spec.buildId, signal)
    const written = [folders.layers, folders.workspace]
    watchLimits(written, container, spec.limits, ports.clock, signal).then(
      (what) => this.stop.abort(what === 'disk' ? new DiskFull() : new TooManyProcesses()),
      () => undefined,
    )
    const target = targetOf(base)
    const port = new BuildContainer({ container, folders, restored: trees, target, log: this.log, signal })
    await this.#streamIn(port, source)
    const env = baseEnv(base)
    const operator = operatorEnv(ports.paths)
    const user = { ...wishes.env, ...spec.env }
    const wished = await wishedBuildpacks({
      wishes,
      installed,
      folders,
      signal,
      isClean: spec.isClean,
      git: ports.gitSource,
      pins: appCache.pinsPath,
    })
    if (wished.lines !== null) this.log.step(wished.lines.step)
    for (const line of wished.lines?.details ?? []) this.log.detail(line)
    const { group, entries } = await this.#detect(
      { order: wished.order, buildpacks: wished.buildpacks, target, execEnv: EXEC_ENV },
      (buildpack) => port.detect(buildpack, buildpackEnv(env, buildpack, user, operator)),
    )
    this.log.step(detectedLine(group), ports.clock.monotonic() - this.#startedAt)
    await this.#provideNeeds(group)
    const built = await build({ group, entries, base: env, user, operator, layersDirectory: LAYERS }, port)
    if (built.processes.length === 0) {
      throw new LifecycleError(
        'build',
        'nothing says how the app is started',
        'add a Procfile, e.g. with the line  web: node server.js',
      )
    }
    return built
  }

  /** Why each buildpack did not match stands above the line that says that none did. */
  async #detect(...[input, runDetect]: Parameters<typeof detect>): Promise<Detected> {
    try {
      return await detect(input, runDetect)
    } catch (error) {
      if (error instanceof LifecycleError) for (const line of error.lines) this.log.detail(line)
      throw error
    }
  }

  /** What the buildpacks of the group ask for besides the run image. */
  async #provideNeeds(group: readonly Buildpack[]): Promise<void> {
    const needs = new Set(group.flatMap(({ toml }) => toml.metadata?.croft?.needs ?? []))
    if (!needs.has('debs')) return
    const startedAt = this.ports.clock.monotonic()
    const state = await this.ports.packageLists.provide(this.spec.stack, this.stop.signal)
    if (state.kind === 'fetched') {
      this.log.step("Fetching Debian's package lists", this.ports.clock.monotonic() - startedAt)
    } else if (state.kind === 'stale') {
      this.log.warning(`Debian's archive does not answer: its package lists are ${state.days} days old`)
    }
  }

  async #streamIn(port: BuildContainer, source: ReturnType<BuildPorts['controller']['source']>): Promise<void> {
    try {
      await port.streamIn(await source)
    } catch (error) {
      if (this.stop.signal.aborted) throw error
      throw new SourceFailed(messageOf(error), { cause: error })
    }
  }

  async #destroy(container: Container): Promise<void> {
    try {
      await this.ports.backend.destroy(container.handle, { ifExists: true })
    } catch (error) {
      // The executor destroys what no instance of its owns.
      this.ports.logger.error('build-container-not-destroyed', { handle: container.handle, error })
    }
  }

  /** The app's newest image; a build without it only takes longer. */
  async #previousImage(): Promise<Image | null> {
    const { previousImage } = this.spec
    if (previousImage === null || !isDigest(previousImage)) return null
    try {
      return await this.ports.images.documents(this.context.appId, previousImage, this.stop.signal)
    } catch (error) {
      this.ports.logger.warn('previous-image-not-read', { image: previousImage, why: messageOf(error) })
      return null
    }
  }
}

/** The exit code the specification gives what went wrong in the lifecycle itself. */
function exitCodeOf(error: unknown): number | undefined {
  return error instanceof LifecycleError ? error.exitCode : undefined
}

/** Every buildpack that may take part and have something to come back: which ones do is not known yet. */
function idsOf(installed: InstalledBuildpacks, label: LifecycleLabel | null, cache: BuildCache): Set<string> {
  return new Set([
    ...installed.buildpacks.map(({ id }) => id),
    ...(label?.buildpacks ?? []).map(({ key }) => key),
    ...Object.keys(cache),
  ])
}

interface BuildInputs {
  folders: BuildFolders
  base: BaseImage
  installed: InstalledBuildpacks
  previous: Image | null
  appCache: AppCache
  wishes: BuildWishes
  hasAdded: boolean
}
type Succeeded = Extract<BuildResult, { outcome: 'succeeded' }>

/** The values of settled promises, or the first failure. */
async function allOf<T extends readonly unknown[]>(settled: {
  [K in keyof T]: PromiseSettledResult<T[K]>
}): Promise<T> {
  return (await Promise.all(
    settled.map((one) => (one.status === 'fulfilled' ? one.value : Promise.reject(one.reason as Error))),
  )) as unknown as T
}

function succeeded(exported: Exported, { processes, labels }: Built): Succeeded {
  const { image, newLayers, newBytes } = exported
  const types = processes.map((one) => [one.type, { command: describeProcess(one), argv: processArgv(one.type) }])
  const generatedConfig = (labels[GENERATED_CONFIG_LABEL] ?? '').split(/[\s,]+/).filter((name) => name !== '')
  return {
    outcome: 'succeeded',
    image,
    processTypes: Object.fromEntries(types),
    newLayers,
    newBytes,
    ...(generatedConfig.length > 0 && { generatedConfig: generatedConfig.slice(0, MAX_GENERATED) }),
  }
}

const ARCHITECTURES: Partial<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

function targetOf(base: BaseImage): Target {
  return {
    os: 'linux',
    arch: ARCHITECTURES[process.arch] ?? process.arch,
    distroName: base.labels['io.buildpacks.base.distro.name'] ?? '',
    distroVersion: base.labels['io.buildpacks.base.distro.version'] ?? '',
  }
}

function baseEnv(base: BaseImage): Env {
  return {
    HOME: '/tmp',
    ...inheritedEnv(base.env),
    PATH: base.env['PATH'] ?? DEFAULT_PATH,
    CNB_STACK_ID: `croft.${base.stack}`,
  }
}

function detectedLine(group: readonly Buildpack[]): string {
  const told = group.map(({ toml }) => toml.metadata?.croft?.detected).find((text) => text !== undefined)
  return told ?? `${group.map(({ name }) => name).join(', ')} detected`
}

function exportLine({ image, newLayers, newBytes }: Exported): string {
  const short = `${image.slice(0, 'sha256:'.length + 4)}...`
  const layers = newLayers === 1 ? '1 new layer' : `${newLayers} new layers`
  return newLayers === 0
    ? `Exporting image ${short} (nothing new)`
    : `Exporting image ${short} (${layers}, ${humanBytes(newBytes)})`
}
