import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { finished } from 'node:stream/promises'
import type { Container } from '@croft/garden-api'
import { messageOf, type Digest } from '@croft/kit'
import { digestOf, hexOf, parseDockerfile, type Dockerfile, type Image } from '@croft/oci'
import type { BuildResult, BuildSpec, BuildWishes } from '@croft/protocol'
import type { BuildFolders } from '../build/build-folders.js'
import type { BuildLog } from '../build/build-log.js'
import { exportLine } from '../build/export-line.js'
import { DiskFull, OutOfMemory, SourceFailed, TooManyProcesses } from '../build/failures.js'
import { watchLimits } from '../build/limit-watch.js'
import type { BuildContext, BuildPorts } from '../build/ports.js'
import { imageArchitecture } from '../image/architecture.js'
import type { BaseImage } from '../image/base-image.js'
import { makeAptFolder } from './apt-folder.js'
import { prepareImages, type BuiltOn } from './base-images.js'
import { buildahContainerSpec, buildahEnv, buildCommand, exportCommand, LAYOUT } from './buildah-container.js'
import { BuildahOutput } from './buildah-output.js'
import { DockerfileFailed } from './dockerfile-failed.js'
import { planStore } from './image-store.js'
import { LayerCache } from './layer-cache.js'
import { importLayout } from './layout-import.js'

/** What layers of former builds may take of a build's disk. */
const CACHE_SHARE = 0.5
const ROOT = '0:0'

type Succeeded = Extract<BuildResult, { outcome: 'succeeded' }>

export interface DockerfileInput {
  spec: BuildSpec
  context: BuildContext
  ports: BuildPorts
  log: BuildLog
  /** Ends the build with its reason. */
  stop: AbortController
  folders: BuildFolders
  wishes: BuildWishes & { dockerfile: string }
  previous: Image | null
  bootId: string
  /** The run image of a stack, made first when this host does not have it. */
  stack: (name: string) => Promise<BaseImage>
}

/**
 * Builds the Dockerfile of an app: by buildah in a container of its own user namespace, with the app's layers of before. The image is
 * read from what buildah left once nothing of the build runs any more. @throws DockerfileFailed, StackFailed and what builds throw
 */
export async function buildDockerfile(input: DockerfileInput): Promise<Succeeded> {
  return new DockerfileBuild(input).run()
}

class DockerfileBuild {
  #container: Container | null = null

  constructor(private readonly input: DockerfileInput) {}

  async run(): Promise<Succeeded> {
    const { spec, context, ports, stop, wishes, bootId } = this.input
    const { signal } = stop
    const dockerfile = parseDockerfile(wishes.dockerfile)
    const image = await this.#provideBuildah()
    const builtOn = await prepareImages(
      dockerfile,
      { buildId: spec.buildId, appId: context.appId, architecture: imageArchitecture() },
      { images: ports.images, registry: ports.registry, controller: ports.controller, stack: this.input.stack },
      signal,
    )
    const cache = await LayerCache.open(
      { caches: ports.paths.caches, appId: context.appId, bootId, logger: ports.logger },
      {
        isClean: spec.isClean,
        maxBytes: spec.limits.diskBytes * CACHE_SHARE,
        builtOn: builtOn.images.map(({ config }) => digestOf(config)),
      },
    )
    const known = await this.#knownLayers(cache, builtOn)
    try {
      await this.#build(dockerfile, { image, cache, builtOn, known })
      // From here on nothing of the tenant runs: what it left is read while the rest of the container goes.
      await this.#container?.stop({ kill: true })
    } catch (error) {
      await this.#destroy()
      await cache.settle([])
      throw error
    }
    const destroying = this.#destroy()
    try {
      return await this.#import({ cache, builtOn, known })
    } finally {
      await destroying
    }
  }

  /** The image that buildah is in, made first when this host does not have it. */
  async #provideBuildah(): Promise<string> {
    const { ports, log, stop } = this.input
    const startedAt = ports.clock.monotonic()
    let isMade = false
    const onMaking = (): void => {
      isMade = true
      log.step('Making the image that builds Dockerfiles (buildah): once on this host')
    }
    const image = await ports.stacks.buildah({ signal: stop.signal, onMaking })
    if (isMade) log.detail('done', ports.clock.monotonic() - startedAt)
    return image
  }

  /** Layers that need not be read from buildah's storage: those that the registry has. */
  async #knownLayers(cache: LayerCache, builtOn: BuiltOn): Promise<BuiltOn['known']> {
    const { context, ports, stop } = this.input
    const known = new Map(builtOn.known)
    for (const [diffId, descriptor] of cache.known) {
      if (await ports.registry.hasBlob(context.appId, descriptor.digest, stop.signal)) known.set(diffId, descriptor)
    }
    return known
  }

  async #build(
    dockerfile: Dockerfile,
    given: { image: string; cache: LayerCache; builtOn: BuiltOn; known: BuiltOn['known'] },
  ): Promise<void> {
    const { spec, context, ports, log, stop, folders, wishes } = this.input
    const { cache, builtOn, known } = given
    const store = await this.#writeStore(builtOn)
    await this.#leaveOut(known.keys())
    const apt = await this.#apt(dockerfile, builtOn)
    this.#container = await ports.backend.create(
      buildahContainerSpec({
        spec,
        context,
        paths: ports.paths,
        folders,
        image: given.image,
        storage: cache.storage,
        store,
        apt,
      }),
      stop.signal,
    )
    const written = [folders.workspace, folders.exchange, cache.storage]
    watchLimits(written, () => this.#container, spec.limits, ports.clock, stop.signal).then(
      (what) => stop.abort(what === 'disk' ? new DiskFull() : new TooManyProcesses()),
      () => undefined,
    )
    await this.#unpack()
    const offered = { ...wishes.env, ...spec.env }
    const secrets = dockerfile.secrets.filter((name) => /^[A-Za-z_]\w*$/.test(name) && name in offered)
    const output = new BuildahOutput()
    const startedAt = ports.clock.monotonic()
    const exitCode = await this.#run(buildCommand({ secrets, hasApt: apt !== null }), (line) => output.read(line))
    log.took('Dockerfile', ports.clock.monotonic() - startedAt)
    if (exitCode !== 0 && output.hasNoThread) throw new TooManyProcesses()
    if (exitCode !== 0) {
      const { title, suggestion } = output.failure(dockerfile, exitCode)
      throw new DockerfileFailed(title, suggestion)
    }
    const left = new BuildahOutput()
    const exported = await this.#run(exportCommand(), (line) => left.read(line))
    if (exported !== 0) throw new Error(left.failure(dockerfile, exported).title)
  }

  /** Writes the folder of images to build on. */
  async #writeStore(builtOn: BuiltOn): Promise<{ folder: string; mounts: { path: string; tree: string }[] }> {
    const folder = join(dirname(this.input.folders.exchange), 'images')
    const plan = planStore(builtOn.images)
    await mkdir(folder, { mode: 0o755 })
    for (const path of plan.folders) await mkdir(join(folder, path), { mode: 0o755 })
    for (const { path, content } of plan.files) await writeFile(join(folder, path), content, { mode: 0o644 })
    for (const { path, target } of plan.links) await symlink(target, join(folder, path))
    return { folder, mounts: plan.mounts }
  }

  /** Buildah does not write a layer that lies in the layout already: an empty file stands for each one that is known. */
  async #leaveOut(diffIds: Iterable<Digest>): Promise<void> {
    const blobs = join(this.input.folders.exchange, LAYOUT, 'blobs/sha256')
    await mkdir(blobs, { recursive: true, mode: 0o755 })
    for (const diffId of diffIds) await writeFile(join(blobs, hexOf(diffId)), '', { mode: 0o644 })
  }

  /** Apt's configuration where all that is built on is one stack; null: commands have what their images have. */
  async #apt(dockerfile: Dockerfile, { stacks, hasOthers }: BuiltOn): Promise<string | null> {
    const { ports, stop, folders } = this.input
    const [stack, ...more] = stacks
    if (stack === undefined || more.length > 0 || hasOthers) return null
    try {
      if (mentionsApt(dockerfile)) await ports.packageLists.provide(stack.stack, stop.signal)
      const configuration = await ports.packageLists.configuration(stack.stack)
      if (configuration === null) return null
      const folder = join(dirname(folders.exchange), 'apt')
      await makeAptFolder(folder, stack.treePath, configuration)
      return folder
    } catch (error) {
      stop.signal.throwIfAborted()
      ports.logger.warn('apt-not-configured', { stack: stack.stack, why: messageOf(error) })
      return null // a command that needs it says so
    }
  }

  async #unpack(): Promise<void> {
    const { spec, ports, stop } = this.input
    const { signal } = stop
    try {
      const tar = await ports.controller.source(spec.buildId, signal)
      const onAbort = (): void => void tar.destroy(signal.reason as Error)
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        signal.throwIfAborted()
        await this.#container?.streamIn({ user: ROOT, path: '/workspace', tar })
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    } catch (error) {
      if (signal.aborted) throw error
      throw new SourceFailed(messageOf(error), { cause: error })
    }
  }

  /** Runs buildah and gives its exit code. @throws OutOfMemory */
  async #run(command: { path: string; args: string[] }, shown: (line: string) => string | null): Promise<number> {
    const { ports, log, stop } = this.input
    const container = this.#container as Container
    const outputs = [log.lines(undefined, shown), log.lines(undefined, shown)] as const
    const process = await container.run(
      { ...command, dir: '/', user: ROOT, env: buildahEnv(ports.paths) },
      { stdout: outputs[0], stderr: outputs[1] },
    )
    const exit = await process.wait(stop.signal)
    await Promise.all(outputs.map((output) => finished(output.end())))
    if (exit.exitCode !== 0 && exit.isOutOfMemory) throw new OutOfMemory()
    return exit.exitCode
  }

  async #destroy(): Promise<void> {
    const { context, ports } = this.input
    try {
      await ports.backend.destroy(context.handle, { ifExists: true })
    } catch (error) {
      ports.logger.error('build-container-not-destroyed', { handle: context.handle, error })
    }
  }

  async #import(given: { cache: LayerCache; builtOn: BuiltOn; known: BuiltOn['known'] }): Promise<Succeeded> {
    const { context, ports, log, stop, folders, previous } = this.input
    const startedAt = ports.clock.monotonic()
    const imported = await importLayout(
      {
        appId: context.appId,
        root: folders.exchange,
        parts: [LAYOUT],
        known: given.known,
        names: given.builtOn.names,
        previous,
        spoolPath: (index) => join(folders.spool, `layer-${index}`),
        signal: stop.signal,
      },
      ports,
    )
    await given.cache.settle(imported.descriptors)
    log.step(exportLine(imported), ports.clock.monotonic() - startedAt)
    return {
      outcome: 'succeeded',
      image: imported.image,
      builder: 'dockerfile',
      processTypes: {},
      newLayers: imported.newLayers,
      newBytes: imported.newBytes,
      record: { steps: [...log.steps], layers: imported.layers },
    }
  }
}

/** Whether a command is likely to install packages: only then are the archives asked for news. */
function mentionsApt({ stages }: Dockerfile): boolean {
  return stages.some(({ instructions }) =>
    instructions.some(({ keyword, text }) => keyword === 'RUN' && /\bapt(?:-get)?\b/.test(text)),
  )
}
