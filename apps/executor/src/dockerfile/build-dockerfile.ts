import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { NotSupportedError, type Container } from '@croft/garden-api'
import { messageOf, type Digest } from '@croft/kit'
import { digestOf, hexOf, parseDockerfile, type Dockerfile } from '@croft/oci'
import { giveDueShare } from '../build/due-share.js'
import { exportLine } from '../build/export-line.js'
import { OutOfMemory, TooManyProcesses } from '../build/failures.js'
import { endAtLimits } from '../build/limit-watch.js'
import { destroyContainer, makeContainer } from '../build/make-container.js'
import { provideImage, provideStack } from '../build/provide-image.js'
import type { PreparedBuild, Succeeded } from '../build/running-build.js'
import { unpackSource } from '../build/unpack-source.js'
import { imageArchitecture } from '../image/architecture.js'
import { makeAptFolder } from './apt-folder.js'
import { prepareImages, type BuiltOn } from './base-images.js'
import {
  buildahContainerSpec,
  buildahEnv,
  buildCommand,
  exportCommand,
  LAYOUT,
  secretFiles,
} from './buildah-container.js'
import { BuildahOutput } from './buildah-output.js'
import { DockerfileFailed } from './dockerfile-failed.js'
import { planStore } from './image-store.js'
import { LayerCache } from './layer-cache.js'
import { importLayout } from './layout-import.js'

/** What layers of former builds may take of a build's disk. */
const CACHE_SHARE = 0.5
const ROOT = '0:0'

/**
 * Builds the Dockerfile of an app, whose text is given: by buildah in a container of its own user namespace, with the app's layers
 * of before. The image is read from what buildah left once nothing of the build runs any more. Whatever comes of it, the
 * container is gone afterwards. @throws DockerfileFailed, DockerfileError, StackFailed and what ends builds
 */
export async function buildDockerfile(given: PreparedBuild, text: string): Promise<Succeeded> {
  return new DockerfileBuild(given, parseDockerfile(text)).run()
}

class DockerfileBuild {
  #container: Container | null = null

  constructor(
    private readonly given: PreparedBuild,
    private readonly dockerfile: Dockerfile,
  ) {}

  async run(): Promise<Succeeded> {
    const { spec, context, ports, log, stop, bootId } = this.given
    const { signal } = stop
    await this.#requirePrivileges()
    const { dockerfile } = this
    const onlooker = { log, clock: ports.clock, signal }
    const image = await provideImage(
      'Making the image that builds Dockerfiles (buildah): once on this host',
      (waiting) => ports.stacks.buildah(waiting),
      onlooker,
    )
    const builtOn = await prepareImages(
      dockerfile,
      { buildId: spec.buildId, appId: context.appId, architecture: imageArchitecture() },
      {
        images: ports.images,
        registry: ports.registry,
        controller: ports.controller,
        stack: (name) => provideStack(name, ports.stacks, onlooker),
      },
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
      await this.#build({ image, cache, builtOn, known })
      // From here on nothing of the tenant runs: what it left is read while the rest of the container goes.
      await this.#container?.stop({ kill: true })
    } catch (error) {
      await destroyContainer(context.handle, ports)
      await cache.settle([])
      throw error
    }
    const destroying = destroyContainer(context.handle, ports)
    try {
      return await this.#import({ cache, builtOn, known })
    } finally {
      await destroying
    }
  }

  /** Told before anything is made for it. @throws NotSupportedError */
  async #requirePrivileges(): Promise<void> {
    const { hasPrivileged } = await this.given.ports.backend.capabilities()
    if (hasPrivileged) return
    throw new NotSupportedError(
      'a privileged container, which Dockerfiles are built in,',
      'ask whoever runs the platform to allow them: croft garden --allow-privileged; or build with buildpacks',
    )
  }

  /** Layers that need not be read from buildah's storage: those that the registry has. */
  async #knownLayers(cache: LayerCache, builtOn: BuiltOn): Promise<BuiltOn['known']> {
    const { context, ports, stop } = this.given
    const known = new Map(builtOn.known)
    for (const [diffId, descriptor] of cache.known) {
      if (await ports.registry.hasBlob(context.appId, descriptor.digest, stop.signal)) known.set(diffId, descriptor)
    }
    return known
  }

  async #build(on: { image: string; cache: LayerCache; builtOn: BuiltOn; known: BuiltOn['known'] }): Promise<void> {
    const { spec, context, ports, log, stop, folders, wishes, reach, source } = this.given
    const { dockerfile } = this
    const { image, cache, builtOn, known } = on
    const { storage } = cache
    const store = await this.#writeStore(builtOn)
    await this.#leaveOut(known.keys())
    const apt = await this.#apt(builtOn)
    const containerSpec = buildahContainerSpec({ spec, context, reach, folders, image, storage, store, apt })
    const container = (this.#container = await makeContainer(containerSpec, reach, ports, stop.signal))
    endAtLimits([folders.workspace, folders.exchange, storage], () => this.#container, this.given)
    giveDueShare(() => this.#container, this.given)
    await unpackSource(container, ROOT, source.stream(), stop.signal)
    const secrets = secretFiles(dockerfile.secrets, { ...wishes.env, ...spec.env }, reach)
    const output = new BuildahOutput()
    const startedAt = ports.clock.monotonic()
    const exitCode = await this.#run(buildCommand({ secrets, hasApt: apt !== null }), output)
    log.took('Dockerfile', ports.clock.monotonic() - startedAt)
    if (exitCode !== 0 && output.hasNoThread) throw new TooManyProcesses()
    if (exitCode !== 0) {
      const { title, suggestion } = output.failure(dockerfile, exitCode)
      throw new DockerfileFailed(title, suggestion)
    }
    const left = new BuildahOutput()
    const exported = await this.#run(exportCommand(), left)
    if (exported !== 0) throw new Error(left.failure(dockerfile, exported).title)
  }

  /** Writes the folder of images to build on. */
  async #writeStore(builtOn: BuiltOn): Promise<{ folder: string; mounts: { path: string; tree: string }[] }> {
    const folder = this.given.folders.images
    const plan = planStore(builtOn.images)
    await mkdir(folder, { mode: 0o755 })
    for (const path of plan.folders) await mkdir(join(folder, path), { mode: 0o755 })
    for (const { path, content } of plan.files) await writeFile(join(folder, path), content, { mode: 0o644 })
    for (const { path, target } of plan.links) await symlink(target, join(folder, path))
    return { folder, mounts: plan.mounts }
  }

  /** Buildah does not write a layer that lies in the layout already: an empty file stands for each one that is known. */
  async #leaveOut(diffIds: Iterable<Digest>): Promise<void> {
    const blobs = join(this.given.folders.exchange, LAYOUT, 'blobs/sha256')
    await mkdir(blobs, { recursive: true, mode: 0o755 })
    for (const diffId of diffIds) await writeFile(join(blobs, hexOf(diffId)), '', { mode: 0o644 })
  }

  /** Apt's configuration where all that is built on is one stack; null: commands have what their images have. */
  async #apt({ stacks, hasOthers }: BuiltOn): Promise<string | null> {
    const { ports, stop, folders } = this.given
    const [stack, ...more] = stacks
    if (stack === undefined || more.length > 0 || hasOthers) return null
    try {
      if (mentionsApt(this.dockerfile)) await ports.packageLists.provide(stack.stack, stop.signal)
      const configuration = await ports.packageLists.configuration(stack.stack)
      if (configuration === null) return null
      await makeAptFolder(folders.apt, stack.treePath, configuration)
      return folders.apt
    } catch (error) {
      stop.signal.throwIfAborted()
      ports.logger.warn('apt-not-configured', { stack: stack.stack, why: messageOf(error) })
      return null // a command that needs it says so
    }
  }

  /** Runs buildah and gives its exit code. @throws OutOfMemory */
  async #run(command: { path: string; args: string[] }, said: BuildahOutput): Promise<number> {
    const { log, stop, reach } = this.given
    const container = this.#container as Container
    const stdout = log.lines(undefined, (line) => said.read(line, 'stdout'))
    const stderr = log.lines(undefined, (line) => said.read(line, 'stderr'))
    const process = await container.run(
      { ...command, dir: '/', user: ROOT, env: buildahEnv(reach) },
      { stdout, stderr },
    )
    const exit = await process.wait(stop.signal)
    await Promise.all([stdout, stderr].map((output) => finished(output.end())))
    if (exit.exitCode !== 0 && exit.isOutOfMemory) throw new OutOfMemory()
    return exit.exitCode
  }

  async #import(on: { cache: LayerCache; builtOn: BuiltOn; known: BuiltOn['known'] }): Promise<Succeeded> {
    const { context, ports, log, stop, folders, previous } = this.given
    const startedAt = ports.clock.monotonic()
    const importing = importLayout(
      {
        appId: context.appId,
        root: folders.exchange,
        parts: [LAYOUT],
        known: on.known,
        names: on.builtOn.names,
        previous,
        spoolPath: (index) => join(folders.spool, `layer-${index}`),
        signal: stop.signal,
      },
      ports,
    )
    const learnt = await importing.then(
      ({ descriptors }) => descriptors,
      () => [], // why is thrown below
    )
    await on.cache.settle(learnt)
    const imported = await importing
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
