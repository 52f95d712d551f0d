import { readFile } from 'node:fs/promises'
import { freemem } from 'node:os'
import { dirname, join } from 'node:path'
import { createLinuxBackend } from '@croft/backend-linux'
import type { ContainerSpec } from '@croft/garden-api'
import { createLogger, systemClock } from '@croft/kit'
import { ExternalRegistry, RegistryClient } from '@croft/oci'
import { SPARE_PREFIX } from '@croft/protocol'
import { DEFAULT_STACK } from '@croft/stacks'
import type { BuildSpare } from './build/make-spare.js'
import type { BuildPorts } from './build/ports.js'
import { sweepAppCaches } from './build/build-cache.js'
import { sweepBuildFolders } from './build/build-folders.js'
import { runBuild } from './build/run-build.js'
import { GitSource } from './buildpack/git-source.js'
import { readConfig } from './config.js'
import { sweepLayerCaches } from './dockerfile/layer-cache.js'
import { createExecutor } from './executor.js'
import { BaseImages } from './image/base-image.js'
import { CroftImageResolver } from './image/image-resolver.js'
import { PublishedSource } from './image/image-source.js'
import { Images } from './image/images.js'
import { registryProxies } from './image/registry-proxies.js'
import { registryTrust } from './image/registry-trust.js'
import { openGarden } from './foreign-backend.js'
import { LayerStore } from './image/layers.js'
import { SharedLayers } from './image/shared-layers.js'
import { SpareContainer, type SpareOptions } from './spare/spare-container.js'
import { PackageLists } from './stack/package-lists.js'
import { prepareBuildImage } from './stack/prepare-build-image.js'
import { StackImages } from './stack/stack-images.js'
import type { ServiceSpare } from './instance/next-service.js'
import { BUILD_PROPERTY, INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY } from './instance/ports.js'
import { ControllerClient } from './sync/controller-client.js'

const PROBE_IMAGE = `stack:${DEFAULT_STACK}`

/** For how long an app's next push, and the deployment of what was built, find a container made in advance. */
const BUILD_SPARE_MS = 15 * 60_000
const SERVICE_SPARE_MS = 20_000
/** It is the instance's to its end: its name is not one of what is nobody's. */
const SERVICE_PREFIX = 'service-'

const logger = createLogger('executor')

/** Only builds are let through to what the platform's egress list names. */
const isBuild = ({ properties }: ContainerSpec): boolean => properties?.[BUILD_PROPERTY] !== undefined

async function main(): Promise<void> {
  const config = readConfig(process.env, process.argv.slice(2))
  const clock = systemClock
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  const socketPath = join(config.run, 'node/node.sock')
  const controller = new ControllerClient(socketPath)
  const registry = new RegistryClient({ socketPath, origin: 'http://controller' })
  const bases = new BaseImages(join(config.cache, 'base'), join(config.nodeHome, 'stacks'))
  const layers = await LayerStore.open({ folder: join(config.nodeHome, 'layers'), bootId, logger })
  const hostCa = config.build.ca === '' ? null : config.build.ca
  const certificates = registryTrust(hostCa, () => controller.registryCertificates(), logger)
  const proxies = registryProxies(config.build.proxyEnv, () => controller.registryProxy(), logger)
  const { homeId } = config
  const source =
    config.registry === null
      ? registry
      : new PublishedSource(new ExternalRegistry({ ...config.registry, homeId, certificates, proxies }), registry)
  const images = new Images({ folder: join(config.nodeHome, 'images'), layers, bases, registry: source })
  const resolver = new CroftImageResolver(images, bases)
  const backend =
    config.garden === null
      ? await createLinuxBackend({
          index: config.k,
          depotDir: join(config.nodeHome, 'containers'),
          runDir: join(config.run, 'containers'),
          runcRoot: join(config.run, 'runc'),
          shimPath: config.shim,
          images: resolver,
          egress: config.egress,
          hasEgress: isBuild,
          allowPrivileged: true, // of its own builds of Dockerfiles; nothing of a tenant can ask for it
          logger,
          clock,
        })
      : await openGarden(config.garden, {
          images: resolver,
          egress: config.egress,
          hasEgress: isBuild,
          homeId: config.homeId,
        })
  const tools = { folder: config.tools, cache: config.cache, proxyEnvironment: config.build.proxyEnv }
  const spares: Pick<SpareOptions, 'backend' | 'clock' | 'logger' | 'availableBytes'> = {
    backend,
    clock,
    logger,
    availableBytes: freemem,
  }
  const spare: BuildSpare = new SpareContainer({
    ...spares,
    prefix: SPARE_PREFIX,
    made: 'when-calm',
    keptMs: BUILD_SPARE_MS,
  })
  const serviceSpare: ServiceSpare = new SpareContainer({
    ...spares,
    prefix: SERVICE_PREFIX,
    made: 'at-once',
    keptMs: SERVICE_SPARE_MS,
  })
  const buildPorts: BuildPorts = {
    backend,
    layers,
    images,
    bases,
    stacks: new StackImages(tools, bases),
    packageLists: new PackageLists(tools),
    gitSource: new GitSource({
      folder: join(config.nodeHome, 'buildpacks', 'git'),
      egress: config.egress,
      ca: hostCa,
      proxyEnvironment: config.build.proxyEnv,
    }),
    registry,
    controller,
    clock,
    logger,
    shared: new SharedLayers({ folder: join(config.cache, 'layers'), homeId: config.homeId, logger }),
    spare,
    paths: {
      builds: join(config.nodeHome, 'builds'),
      caches: join(config.nodeHome, 'caches'),
      secrets: join(config.run, 'builds'),
      buildpacks: config.buildpacks,
      addedBuildpacks: join(dirname(config.nodeHome), 'buildpacks'),
      platformNode: config.platformNode,
      platformNpm: config.platformNpm,
      npmrc: config.build.npmrc === '' ? null : config.build.npmrc,
      ca: hostCa,
      proxyEnvironment: config.build.proxyEnv,
    },
  }
  await sweepBuildFolders(buildPorts.paths, logger)
  await sweepAppCaches(buildPorts.paths.caches, logger)
  await sweepLayerCaches(buildPorts.paths.caches, logger)
  const executor = createExecutor(config, {
    backend,
    controller,
    clock,
    random: Math.random,
    logger,
    bootId,
    probeImage: PROBE_IMAGE,
    spare,
    serviceSpare,
    collectLayers: async (inUse) => await images.collect(inUse),
    ensureImage: async (appId, digest, signal) => await images.ensure(appId, digest, signal),
    runBuild: async (item, surroundings, signal) => {
      if (item.spec.kind !== 'build') throw new TypeError(`${item.id} is no build`)
      const properties = { [OWNER_PROPERTY]: OWNER, [INSTANCE_PROPERTY]: item.id, [BUILD_PROPERTY]: item.spec.buildId }
      return await runBuild(
        item.spec,
        { instanceId: item.id, appId: item.appId, appName: item.appName, properties, ...surroundings },
        buildPorts,
        signal,
      )
    },
  })

  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      logger.info('stopping', { signal: name })
      void executor.stop().then(
        () => process.exit(0),
        () => process.exit(1), // told by `run`
      )
    })
  }
  const ended = new AbortController()
  prepareBuildImage(buildPorts.stacks, clock, logger, ended.signal).catch(() => undefined)
  await executor.run()
  ended.abort(new Error('the executor ended'))
}

main().catch((error: unknown) => {
  logger.error('executor-failed', { error })
  process.exit(1)
})
