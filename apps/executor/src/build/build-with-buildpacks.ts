import type { Readable } from 'node:stream'
import type { Container } from '@croft/garden-api'
import { messageOf } from '@croft/kit'
import {
  build,
  buildpackEnv,
  describeProcess,
  detect,
  LIFECYCLE_LABEL,
  LifecycleError,
  parseLifecycleLabel,
  processArgv,
  type BuildCache,
  type Buildpack,
  type BuildNeed,
  type Built,
  type Detected,
  type LifecycleLabel,
} from '@croft/lifecycle'
import { addedBuildpacks } from '../buildpack/added-buildpacks.js'
import { bringsBuildpacks, wishedBuildpacks } from '../buildpack/wished-buildpacks.js'
import { builderGround } from '../builder/builder-ground.js'
import { groundOf, stackGround, type Ground } from '../builder/ground.js'
import { AppCache } from './build-cache.js'
import { BuildContainer, EXEC_ENV } from './build-container.js'
import { giveFolders, writtenFolders } from './build-folders.js'
import { needsOf, provideNeeds } from './build-needs.js'
import type { BuildLog } from './build-log.js'
import { buildpacksContainerSpec, LAYERS } from './buildpacks-container.js'
import { exportImage, type Exported } from './export-image.js'
import { exportLine } from './export-line.js'
import { type InstalledBuildpacks } from './installed-buildpacks.js'
import { giveDueShare } from './due-share.js'
import { endAtLimits } from './limit-watch.js'
import { destroyContainer, makeContainer } from './make-container.js'
import { restoreLayers, type Restored } from './restore-layers.js'
import type { PreparedBuild, Succeeded } from './running-build.js'
import { unpackSource } from './unpack-source.js'

/** By this label a buildpack names config vars of which the platform makes a random value once; none of it is in the image. */
const GENERATED_CONFIG_LABEL = 'io.croft.generated-config'
const MAX_GENERATED = 10

/**
 * Builds an app with buildpacks: restore, detect, build, export. Only `bin/detect` and `bin/build` run in the build container;
 * everything else happens here. Whatever comes of it, the container is gone afterwards.
 * @throws LifecycleError, StackFailed and what ends builds
 */
export async function buildWithBuildpacks(given: PreparedBuild): Promise<Succeeded> {
  const { ports, wishes, base } = given
  const appCache = new AppCache({
    caches: ports.paths.caches,
    appId: given.context.appId,
    drafts: given.folders.drafts,
    bootId: given.bootId,
    logger: ports.logger,
  })
  const ground =
    wishes.builder === undefined
      ? stackGround(base, given.installed)
      : await builderGround(given, wishes.builder, appCache.pinsPath)
  const folders = await giveFolders(given.folders, ground.user)
  const added = await addedBuildpacks(ports.paths.addedBuildpacks, wishes.team)
  const installed = { ...ground.installed, buildpacks: [...ground.installed.buildpacks, ...added] }
  return new BuildpackBuild({ ...given, folders, installed }, ground, appCache, added.length > 0).run()
}

/** Where the buildpacks that took part come from, by id. */
type Origins = ReadonlyMap<string, string>

class BuildpackBuild {
  #container: Container | null = null
  #source: Promise<Readable> | null = null
  #image: 'stack' | 'build' = 'stack'
  #origins: Origins = new Map()
  /** Trees that hold restored layers, by `<buildpack folder>/<layer>`. */
  #trees: ReadonlyMap<string, string> = new Map()

  constructor(
    private readonly given: PreparedBuild,
    private readonly ground: Ground,
    private readonly appCache: AppCache,
    private readonly hasAdded: boolean,
  ) {}

  async run(): Promise<Succeeded> {
    const { ports, log, stop, context, folders, previous } = this.given
    const { stack, runImage, builder } = this.ground
    const restored = await this.#restore()
    this.#trees = new Map([...restored].flatMap(([key, { tree }]) => (tree === null ? [] : [[key, tree] as const])))
    const isLikely =
      stack !== null && ports.stacks.neededCompilers(context.appId) && (await ports.stacks.hasCompilers(stack))
    const container = await this.#create(isLikely ? 'build' : 'stack')
    let built: Built
    try {
      built = await this.#build(container)
      // From here on nothing of the tenant runs: what it wrote is sealed, and the rest of the container can go meanwhile.
      await this.#container?.stop({ kill: true })
    } catch (error) {
      await destroyContainer(context.handle, ports)
      throw error
    }
    const startedAt = ports.clock.monotonic()
    const destroying = destroyContainer(context.handle, ports)
    try {
      const exported = await exportImage(
        {
          appId: context.appId,
          built,
          runImage,
          folders,
          restored,
          previous,
          appCache: this.appCache,
          signal: stop.signal,
        },
        ports,
      )
      await this.appCache.write(exported.cache)
      log.step(exportLine(exported), ports.clock.monotonic() - startedAt)
      const result = succeeded(exported, built, this.#origins, log.steps)
      return builder === null ? result : { ...runningAs(result, runImage.user), builderImage: builder }
    } finally {
      await destroying
    }
  }

  /** Layers are restored before it is known which buildpacks take part: mounting is all it costs. */
  async #restore(): Promise<Map<string, Restored>> {
    const { ports, spec, context, stop, folders, installed, previous } = this.given
    const { appCache } = this
    const labels = previous?.config.config?.Labels
    const former = groundOf(labels)
    // what was made on another release of the distribution is bound to its libraries
    const isClean = spec.isClean || (former !== undefined && former !== this.ground.name)
    const label = isClean ? null : parseLifecycleLabel(labels?.[LIFECYCLE_LABEL])
    const cache = isClean ? {} : await appCache.read()
    return restoreLayers({
      group: [...idsOf(installed, label, cache)].map((id) => ({ id })),
      appId: context.appId,
      label,
      previous,
      cache,
      appCache,
      layers: ports.layers,
      images: ports.images,
      folders,
      logger: ports.logger,
      signal: stop.signal,
    })
  }

  async #create(image: 'stack' | 'build'): Promise<Container> {
    const { ports, spec, context, stop, folders, wishes, reach } = this.given
    const { hasAdded, ground } = this
    const { stack } = ground
    const hasForeign = bringsBuildpacks(wishes)
    const containerSpec = buildpacksContainerSpec({
      spec,
      context,
      paths: ports.paths,
      folders,
      image: ground.containerImage(image === 'build'),
      ofStack:
        stack === null
          ? null
          : { runImage: stack.treePath, packageLists: await ports.packageLists.folder(stack.stack) },
      trees: [...new Set(this.#trees.values())],
      hasForeign,
      aptConfiguration: stack !== null && (hasForeign || hasAdded) ? await this.#aptConfiguration() : null,
      hasAdded,
      reach,
    })
    this.#image = image
    this.#source ??= this.#beginSource() // read by the controller while the container is made
    return (this.#container = await makeContainer(containerSpec, reach, ports, stop.signal))
  }

  #beginSource(): Promise<Readable> {
    const { ports, spec, stop } = this.given
    const source = ports.controller.source(spec.buildId, stop.signal)
    // one that breaks off is noticed by whoever reads it; nobody does when there is no container
    source.then((tar) => tar.on('error', () => undefined)).catch(() => undefined)
    return source
  }

  /**
   * The build has its compilers when and only when its buildpacks ask for them: where the container was made on the other image, the
   * same one is made anew. What a build keeps lies in its mounts, and nothing of it runs at this moment.
   */
  async #settleImage(needs: ReadonlySet<BuildNeed>): Promise<Container | null> {
    const { ports, context } = this.given
    const needsCompilers = needs.has('compilers')
    ports.stacks.rememberCompilers(context.appId, needsCompilers)
    const image = needsCompilers ? 'build' : 'stack'
    if (this.#image === image) return null
    await destroyContainer(context.handle, ports)
    return this.#create(image)
  }

  /** Everything that runs in the container. */
  async #build(container: Container): Promise<Built> {
    const { ports, spec, log, stop, folders, installed, wishes, reach } = this.given
    const { signal } = stop
    const { env, target } = this.ground
    const source = this.#source ?? this.#beginSource()
    endAtLimits(writtenFolders(folders), () => this.#container, this.given)
    giveDueShare(() => this.#container, this.given)
    const port = new BuildContainer({ container, folders, restored: this.#trees, target, log, signal })
    await unpackSource(container, `${folders.owner.uid}:${folders.owner.gid}`, source, signal)
    const operator = reach.env
    const user = { ...wishes.env, ...spec.env }
    const wished = await wishedBuildpacks({
      wishes,
      installed,
      folders,
      signal,
      isClean: spec.isClean,
      git: ports.gitSource.through(reach.git),
      pins: this.appCache.pinsPath,
    })
    if (wished.lines !== null) log.step(wished.lines.step)
    for (const line of wished.lines?.details ?? []) log.detail(line)
    const { group, entries } = await this.#detect(
      { order: wished.order, buildpacks: wished.buildpacks, target, execEnv: EXEC_ENV },
      (buildpack) => port.detect(buildpack, buildpackEnv(env, buildpack, user, operator)),
    )
    this.#origins = new Map(group.flatMap(({ id, origin }) => (origin === undefined ? [] : [[id, origin] as const])))
    log.step(detectedLine(group), ports.clock.monotonic() - this.given.startedAt)
    const anew = await this.#provide(needsOf(group, entries))
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

  /** What a stack lacks of what the buildpacks need; a builder image has all that its buildpacks do. */
  async #provide(needs: ReadonlySet<BuildNeed>): Promise<Container | null> {
    const { ports, log, stop } = this.given
    const { stack } = this.ground
    if (stack === null) return null
    await provideNeeds(needs, stack, ports, log, stop.signal)
    return this.#settleImage(needs)
  }

  /** Why each buildpack did not match stands above the line that says that none did. */
  async #detect(...[input, runDetect]: Parameters<typeof detect>): Promise<Detected> {
    try {
      return await detect(input, runDetect)
    } catch (error) {
      if (error instanceof LifecycleError) for (const line of error.lines) this.given.log.detail(line)
      throw error
    }
  }

  /** Buildpacks that are not Croft's may call apt; without it they are told so by apt. */
  async #aptConfiguration(): Promise<string | null> {
    const { ports, spec, stop } = this.given
    const { packageLists, logger } = ports
    const { stack } = spec
    if ((await packageLists.configuration(stack)) === null) {
      await packageLists.provide(stack, stop.signal).catch((error: unknown) => {
        stop.signal.throwIfAborted()
        logger.warn('package-lists-not-provided', { stack, why: messageOf(error) })
      })
    }
    return packageLists.configuration(stack)
  }
}

/** Every buildpack that may take part and have something to come back: which ones do is not known yet. */
function idsOf(installed: InstalledBuildpacks, label: LifecycleLabel | null, cache: BuildCache): Set<string> {
  return new Set([
    ...installed.buildpacks.map(({ id }) => id),
    ...(label?.buildpacks ?? []).map(({ key }) => key),
    ...Object.keys(cache),
  ])
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

/** The same with every process run by the user of an image that is not of Croft's making. */
function runningAs(result: Succeeded, user: string): Succeeded {
  const types = Object.entries(result.processTypes).map(([type, process]) => [type, { ...process, user }])
  return { ...result, processTypes: Object.fromEntries(types) }
}

function detectedLine(group: readonly Buildpack[]): string {
  const told = group.map(({ toml }) => toml.metadata?.croft?.detected).find((text) => text !== undefined)
  return told ?? `${group.map(({ name }) => name).join(', ')} detected`
}
