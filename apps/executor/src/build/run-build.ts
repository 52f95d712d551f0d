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
  inheritedEnv,
  LIFECYCLE_LABEL,
  LifecycleError,
  parseLifecycleLabel,
  processArgv,
  type BuildCache,
  type Buildpack,
  type BuildNeed,
  type Built,
  type Detected,
  type Env,
  type LifecycleLabel,
  type Target,
} from '@croft/lifecycle'
import { addedBuildpacks } from '../buildpack/added-buildpacks.js'
import { bringsBuildpacks, wishedBuildpacks } from '../buildpack/wished-buildpacks.js'
import { buildDockerfile } from '../dockerfile/build-dockerfile.js'
import { imageArchitecture } from '../image/architecture.js'
import type { BaseImage } from '../image/base-image.js'
import { STACK_LABEL } from '../image/images.js'
import { AppCache } from './build-cache.js'
import { BuildContainer, buildContainerSpec, BUILDPACKS, EXEC_ENV, LAYERS } from './build-container.js'
import { makeBuildFolders, writePlatformEnv, type BuildFolders } from './build-folders.js'
import { needsOf, provideNeeds } from './build-needs.js'
import { BuildLog } from './build-log.js'
import { exportImage, type Exported } from './export-image.js'
import { exportLine } from './export-line.js'
import {
  blamesPackageLists,
  canceled,
  DiskFull,
  failureOf,
  LogFull,
  SourceFailed,
  TimedOut,
  TooManyProcesses,
} from './failures.js'
import { readInstalledBuildpacks, type InstalledBuildpacks } from './installed-buildpacks.js'
import { watchLimits } from './limit-watch.js'
import type { BuildContext, BuildPorts } from './ports.js'
import { provideReach, type ProvidedReach } from './provide-reach.js'
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
    if (blamesPackageLists(failure)) ports.packageLists.outdate(spec.stack)
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

/** Where the buildpacks that took part come from, by id. */
type Origins = ReadonlyMap<string, string>

class Build {
  readonly #startedAt: number
  #container: Container | null = null
  #image: 'stack' | 'build' = 'stack'
  #origins: Origins = new Map()

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
      this.#base(spec.stack),
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
      const { dockerfile } = wishes
      if (dockerfile !== undefined) {
        const { log, stop } = this
        const stack = (name: string): Promise<BaseImage> => this.#base(name)
        const given = { spec, context, ports, log, stop, folders, previous, stack, bootId: bootId.trim() }
        return await buildDockerfile({ ...given, wishes: { ...wishes, dockerfile } })
      }
      const reach = await provideReach(folders.reach, ports.paths, wishes.reach)
      const appCache = new AppCache({
        caches: ports.paths.caches,
        appId: context.appId,
        drafts: folders.drafts,
        bootId: bootId.trim(),
        logger: ports.logger,
      })
      const hasAdded = added.length > 0
      return await this.#inFolders({ folders, base, installed, previous, appCache, wishes, hasAdded, reach })
    } finally {
      folders.remove().catch((error: unknown) => ports.logger.warn('build-not-removed', { why: messageOf(error) }))
    }
  }

  async #inFolders(input: BuildInputs): Promise<Succeeded> {
    const { ports } = this
    const restored = await this.#restore(input)
    const trees = new Map([...restored].flatMap(([key, { tree }]) => (tree === null ? [] : [[key, tree] as const])))
    const { stacks } = ports
    const isLikely = stacks.neededCompilers(this.context.appId) && (await stacks.hasCompilers(input.base))
    this.#container = await this.#create(input, trees, isLikely ? 'build' : 'stack')
    let built: Built
    try {
      built = await this.#build(trees, input)
      // From here on nothing of the tenant runs: what it wrote is sealed, and the rest of the container can go meanwhile.
      await this.#container.stop({ kill: true })
    } catch (error) {
      await this.#destroy()
      throw error
    }
    const startedAt = ports.clock.monotonic()
    const destroying = this.#destroy()
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
          architecture: imageArchitecture(),
          signal: this.stop.signal,
        },
        ports,
      )
      await input.appCache.write(exported.cache)
      this.log.step(exportLine(exported), ports.clock.monotonic() - startedAt)
      return succeeded(exported, built, this.#origins, this.log.steps)
    } finally {
      await destroying
    }
  }

  /** Layers are restored before it is known which buildpacks take part: mounting is all it costs. */
  async #restore({ folders, installed, previous, appCache }: BuildInputs): Promise<Map<string, Restored>> {
    const { ports, spec } = this
    const labels = previous?.config.config?.Labels
    const formerStack = labels?.[STACK_LABEL]
    // what was made on another release of the distribution is bound to its libraries
    const isClean = spec.isClean || (formerStack !== undefined && formerStack !== spec.stack)
    const label = isClean ? null : parseLifecycleLabel(labels?.[LIFECYCLE_LABEL])
    const cache = isClean ? {} : await appCache.read()
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

  async #create(input: BuildInputs, trees: ReadonlyMap<string, string>, image: 'stack' | 'build'): Promise<Container> {
    const { folders, base, wishes, hasAdded, reach } = input
    const { ports, spec, context } = this
    const hasForeign = bringsBuildpacks(wishes)
    const containerSpec = buildContainerSpec({
      spec,
      context,
      paths: ports.paths,
      folders,
      image: `${image}:${base.stack}@${base.diffId}`,
      runImage: base.treePath,
      trees: [...new Set(trees.values())],
      packageLists: await ports.packageLists.folder(spec.stack),
      hasForeign,
      aptConfiguration: hasForeign || hasAdded ? await this.#aptConfiguration() : null,
      hasAdded,
      reach,
    })
    this.#image = image
    const container = await ports.backend.create(containerSpec, this.stop.signal)
    // Said afterwards it is let through to these as well; said at its creation it would be to nothing else.
    if (reach.netOut.length > 0) await container.netOut(reach.netOut)
    return container
  }

  /**
   * The build has its compilers when and only when its buildpacks ask for them: where the container was made on the other image, the
   * same one is made anew. What a build keeps lies in its mounts, and nothing of it runs at this moment.
   */
  async #settleImage(needs: ReadonlySet<BuildNeed>, input: BuildInputs, trees: ReadonlyMap<string, string>) {
    const needsCompilers = needs.has('compilers')
    this.ports.stacks.rememberCompilers(this.context.appId, needsCompilers)
    const image = needsCompilers ? 'build' : 'stack'
    if (this.#image === image) return null
    await this.#destroy()
    return (this.#container = await this.#create(input, trees, image))
  }

  /** Everything that runs in the container. */
  async #build(trees: ReadonlyMap<string, string>, input: BuildInputs): Promise<Built> {
    const { ports, spec } = this
    const { folders, base, installed, wishes, appCache, reach } = input
    const { signal } = this.stop
    const container = this.#container as Container
    const source = ports.controller.source(spec.buildId, signal)
    const written = [folders.layers, folders.workspace, folders.exchange, folders.foreign]
    watchLimits(written, () => this.#container, spec.limits, ports.clock, signal).then(
      (what) => this.stop.abort(what === 'disk' ? new DiskFull() : new TooManyProcesses()),
      () => undefined,
    )
    const target = targetOf(base)
    const port = new BuildContainer({ container, folders, restored: trees, target, log: this.log, signal })
    await this.#streamIn(port, source)
    const env = baseEnv(base)
    const operator = reach.env
    const user = { ...wishes.env, ...spec.env }
    const wished = await wishedBuildpacks({
      wishes,
      installed,
      folders,
      signal,
      isClean: spec.isClean,
      git: ports.gitSource.through(reach.git),
      pins: appCache.pinsPath,
    })
    if (wished.lines !== null) this.log.step(wished.lines.step)
    for (const line of wished.lines?.details ?? []) this.log.detail(line)
    const { group, entries } = await this.#detect(
      { order: wished.order, buildpacks: wished.buildpacks, target, execEnv: EXEC_ENV },
      (buildpack) => port.detect(buildpack, buildpackEnv(env, buildpack, user, operator)),
    )
    this.#origins = new Map(group.flatMap(({ id, origin }) => (origin === undefined ? [] : [[id, origin] as const])))
    this.log.step(detectedLine(group), ports.clock.monotonic() - this.#startedAt)
    const needs = needsOf(group, entries)
    await provideNeeds(needs, base, ports, this.log, signal)
    const anew = await this.#settleImage(needs, input, trees)
    if (anew !== null) port.moveTo(anew)
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

  /** Buildpacks that are not Croft's may call apt; without it they are told so by apt. */
  async #aptConfiguration(): Promise<string | null> {
    const { packageLists } = this.ports
    const { stack } = this.spec
    if ((await packageLists.configuration(stack)) === null) {
      await packageLists.provide(stack, this.stop.signal).catch((error: unknown) => {
        this.stop.signal.throwIfAborted()
        this.ports.logger.warn('package-lists-not-provided', { stack, why: messageOf(error) })
      })
    }
    return packageLists.configuration(stack)
  }

  /** The run image of the stack, made first when this host does not have it. */
  async #base(stack: string): Promise<BaseImage> {
    const { ports, log } = this
    const { clock } = ports
    const startedAt = clock.monotonic()
    let isMade = false
    const onMaking = (): void => {
      isMade = true
      log.step(`Making the stack ${stack}: once on this host`)
    }
    const base = await ports.stacks.base(stack, { signal: this.stop.signal, onMaking })
    if (isMade) log.detail(base.labels['io.buildpacks.base.description'] ?? 'done', clock.monotonic() - startedAt)
    return base
  }

  async #streamIn(port: BuildContainer, source: ReturnType<BuildPorts['controller']['source']>): Promise<void> {
    try {
      await port.streamIn(await source)
    } catch (error) {
      if (this.stop.signal.aborted) throw error
      throw new SourceFailed(messageOf(error), { cause: error })
    }
  }

  async #destroy(): Promise<void> {
    const { handle } = this.context
    try {
      await this.ports.backend.destroy(handle, { ifExists: true })
    } catch (error) {
      // The executor destroys what no instance of its owns.
      this.ports.logger.error('build-container-not-destroyed', { handle, error })
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
  reach: ProvidedReach
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

function succeeded(exported: Exported, built: Built, origins: Origins, steps: BuildLog['steps']): Succeeded {
  const { processes, labels, buildpacks } = built
  const { image, newLayers, newBytes, layers } = exported
  const types = processes.map((one) => [one.type, { command: describeProcess(one), argv: processArgv(one.type) }])
  const generatedConfig = (labels[GENERATED_CONFIG_LABEL] ?? '').split(/[\s,]+/).filter((name) => name !== '')
  return {
    outcome: 'succeeded',
    image,
    processTypes: Object.fromEntries(types),
    newLayers,
    newBytes,
    buildpacks: buildpacks.map(({ id, version }) => ({ id, version, origin: origins.get(id) ?? null })),
    record: { steps: [...steps], layers },
    ...(generatedConfig.length > 0 && { generatedConfig: generatedConfig.slice(0, MAX_GENERATED) }),
  }
}

function targetOf(base: BaseImage): Target {
  return {
    os: 'linux',
    arch: imageArchitecture(),
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
