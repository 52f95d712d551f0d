import type { Container } from '@croft/garden-api'
import {
  build,
  buildpackEnv,
  describeProcess,
  detect,
  LifecycleError,
  processArgv,
  type Buildpack,
  type BuildNeed,
  type Built,
  type Detected,
} from '@croft/lifecycle'
import { addedBuildpacks } from '../buildpack/added-buildpacks.js'
import { wishedBuildpacks } from '../buildpack/wished-buildpacks.js'
import { builderGround } from '../builder/builder-ground.js'
import { stackGround } from '../builder/ground.js'
import { AppCache } from './build-cache.js'
import { BuildContainer, EXEC_ENV } from './build-container.js'
import { giveFolders, writtenFolders } from './build-folders.js'
import { needsOf, provideNeeds } from './build-needs.js'
import type { BuildLog } from './build-log.js'
import {
  likelyImage,
  originOf,
  restoreSite,
  siteContainer,
  treesOf,
  type BuildSite,
  type SiteImage,
} from './build-site.js'
import { LAYERS } from './buildpacks-container.js'
import { exportImage, type Exported } from './export-image.js'
import { exportLine } from './export-line.js'
import { giveDueShare } from './due-share.js'
import { endAtLimits } from './limit-watch.js'
import { destroyContainer, makeContainer } from './make-container.js'
import { makeSpare, takeSpare, type TakenSpare } from './make-spare.js'
import type { Restored } from './restore-layers.js'
import type { PreparedBuild, Succeeded } from './running-build.js'
import { unpackSource } from './unpack-source.js'

/** By this label a buildpack names config vars of which the platform makes a random value once; none of it is in the image. */
const GENERATED_CONFIG_LABEL = 'io.croft.generated-config'
const MAX_GENERATED = 10

/**
 * Builds an app with buildpacks: restore, detect, build, export. Only `bin/detect` and `bin/build` run in the build container;
 * everything else happens here. Whatever comes of it, the container is gone afterwards; of one that succeeded on a stack, the
 * container of the app's next build is made some time later.
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
  const own: BuildSite = { ...given, folders, installed, ground, appCache, hasAdded: added.length > 0 }
  const taken = await takeSpare(own)
  const { site, spare } = taken ?? { site: own, spare: null }
  try {
    const result = await new BuildpackBuild(site, spare).run()
    const { appId } = given.context
    if (ground.stack !== null) {
      ports.spare?.prepare({ whose: appId, image: result.image }, (...names) => makeSpare(own, result.image, ...names))
    }
    return result
  } finally {
    void spare?.release()
  }
}

/** Where the buildpacks that took part come from, by id. */
type Origins = ReadonlyMap<string, string>

class BuildpackBuild {
  #container: Container | null = null
  #image: SiteImage = 'stack'
  #origins: Origins = new Map()
  #endWatch: () => void = () => undefined
  /** Trees that hold restored layers, by `<buildpack folder>/<layer>`. */
  #trees: ReadonlyMap<string, string> = new Map()

  constructor(
    private readonly site: BuildSite,
    private readonly spare: TakenSpare | null,
  ) {}

  async run(): Promise<Succeeded> {
    const { ports, log, stop, context, folders, previous, ground, appCache } = this.site
    const { runImage, builder } = ground
    const { container, restored } = await this.#begin()
    let built: Built
    try {
      built = await this.#build(container)
      // From here on nothing of the tenant runs: what it wrote is sealed, and the rest of the container can go meanwhile.
      await this.#container?.stop({ kill: true })
      this.#endWatch()
    } catch (error) {
      await this.#destroy()
      throw error
    }
    const startedAt = ports.clock.monotonic()
    const destroying = this.#destroy()
    try {
      const exported = await exportImage(
        {
          appId: context.appId,
          built,
          runImage,
          folders,
          restored,
          previous,
          appCache,
          onImage: (image) => context.onImage?.({ image, types: built.processes.map(({ type }) => type) }),
          signal: stop.signal,
        },
        ports,
      )
      await appCache.write(exported.cache)
      log.step(exportLine(exported), ports.clock.monotonic() - startedAt)
      const result = succeeded(exported, built, this.#origins, log.steps)
      return builder === null ? result : { ...runningAs(result, runImage.user), builderImage: builder }
    } finally {
      await destroying
    }
  }

  /** The container, and what came back of former builds. */
  async #begin(): Promise<{ container: Container; restored: ReadonlyMap<string, Restored> }> {
    if (this.spare !== null) {
      const { container, image, restored } = this.spare
      this.#container = container
      this.#image = image
      this.#trees = treesOf(restored)
      return { container, restored }
    }
    const restored = await restoreSite(this.site, await originOf(this.site))
    this.#trees = treesOf(restored)
    return { container: await this.#create(await likelyImage(this.site)), restored }
  }

  async #create(image: SiteImage): Promise<Container> {
    const { ports, stop, reach } = this.site
    const spec = await siteContainer(this.site, image, this.#trees.values())
    this.#image = image
    return (this.#container = await makeContainer(spec, reach, ports, stop.signal))
  }

  async #destroy(): Promise<void> {
    if (this.#container !== null) await destroyContainer(this.#container.handle, this.site.ports)
  }

  /**
   * The build has its compilers when and only when its buildpacks ask for them: where the container was made on the other image, the
   * same one is made anew. What a build keeps lies in its mounts, and nothing of it runs at this moment.
   */
  async #settleImage(needs: ReadonlySet<BuildNeed>): Promise<Container | null> {
    const { ports, context } = this.site
    const needsCompilers = needs.has('compilers')
    ports.stacks.rememberCompilers(context.appId, needsCompilers)
    const image = needsCompilers ? 'build' : 'stack'
    if (this.#image === image) return null
    await this.#destroy()
    return this.#create(image)
  }

  /** Everything that runs in the container. */
  async #build(container: Container): Promise<Built> {
    const { ports, spec, log, stop, folders, installed, wishes, reach, ground, appCache, source } = this.site
    const { signal } = stop
    const { env, target } = ground
    this.#endWatch = endAtLimits(writtenFolders(folders), () => this.#container, this.site)
    giveDueShare(() => this.#container, this.site)
    const port = new BuildContainer({ container, folders, restored: this.#trees, target, log, signal })
    await unpackSource(container, `${folders.owner.uid}:${folders.owner.gid}`, source.stream(), signal)
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
    if (wished.lines !== null) log.step(wished.lines.step)
    for (const line of wished.lines?.details ?? []) log.detail(line)
    const { group, entries } = await this.#detect(
      { order: wished.order, buildpacks: wished.buildpacks, target, execEnv: EXEC_ENV },
      (buildpack) => port.detect(buildpack, buildpackEnv(env, buildpack, user, operator)),
    )
    this.#origins = new Map(group.flatMap(({ id, origin }) => (origin === undefined ? [] : [[id, origin] as const])))
    log.step(detectedLine(group), ports.clock.monotonic() - this.site.startedAt)
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
    const { ports, log, stop } = this.site
    const { stack } = this.site.ground
    if (stack === null) return null
    await provideNeeds(needs, stack, ports, log, stop.signal)
    return this.#settleImage(needs)
  }

  /** Why each buildpack did not match stands above the line that says that none did. */
  async #detect(...[input, runDetect]: Parameters<typeof detect>): Promise<Detected> {
    try {
      return await detect(input, runDetect)
    } catch (error) {
      if (error instanceof LifecycleError) for (const line of error.lines) this.site.log.detail(line)
      throw error
    }
  }
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
