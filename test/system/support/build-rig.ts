import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  buildShim,
  cleanHome,
  createLinuxBackend,
  releaseHomeIndex,
  reserveHomeIndex,
  type LinuxBackend,
} from '@croft/backend-linux'
import type { Backend, Container, ImageResolver } from '@croft/garden-api'
import { silentLogger, systemClock } from '@croft/kit'
import { RegistryClient } from '@croft/oci'
import type { BuildSpec, BuildWishes } from '@croft/protocol'
import type { BuildController, BuildPorts } from '../../../apps/executor/src/build/ports.js'
import { GitSource } from '../../../apps/executor/src/buildpack/git-source.js'
import { runBuild } from '../../../apps/executor/src/build/run-build.js'
import { BaseImages } from '../../../apps/executor/src/image/base-image.js'
import { CroftImageResolver } from '../../../apps/executor/src/image/image-resolver.js'
import { Images } from '../../../apps/executor/src/image/images.js'
import { LayerStore } from '../../../apps/executor/src/image/layers.js'
import { PackageLists } from '../../../apps/executor/src/stack/package-lists.js'
import { StackImages } from '../../../apps/executor/src/stack/stack-images.js'
import { CACHE, npmFolder } from './build-needs.js'
import type { Pushed } from './build-results.js'
import { bundleBuildpacks } from './bundled-buildpacks.js'
import { MemoryRegistry } from './memory-registry.js'
import { checkout } from './platform.js'
import { makeRigFolder } from './rig-folders.js'
import { runToEnd, serveIn, type Serving } from './running-image.js'
import { tarOf, writeTree } from './source-trees.js'

const PLATFORM_NODE = join(checkout, `node_modules/node-linux-${process.arch}`)

/** A node that builds: the Linux backend, the image stores, and a controller and registry that only remember. */
export interface BuildRig {
  folder: string
  backend: LinuxBackend
  ports: BuildPorts
  registry: MemoryRegistry
  /** Builds the files (path to content) of app `appId`; `change` alters the spec. */
  build(files: Record<string, string | Buffer>, options?: BuildOptions): Promise<Pushed>
  /** Runs a command in a container of an image and gives its output. */
  runIn(image: string, argv: string[], env?: string[]): Promise<{ exitCode: number; output: string }>
  /** Starts a program of an image that listens on port 8080. */
  serve(image: string, program: string, env: string[]): Promise<Serving>
  /** Finds images in another way from now on. */
  useResolver(resolver: CroftImageResolver): void
  /** Forgets everything unpacked, as after the loss of a node's cache. */
  loseLayers(): Promise<void>
  close(): Promise<void>
}

export interface BuildOptions {
  appId?: string
  previousImage?: string | null
  change?: Partial<BuildSpec>
  signal?: AbortSignal
  onLog?: (log: string) => void
  source?: BuildController['source']
  image?: BuildController['image']
  /** What the app wants of its build, beside nothing. */
  wishes?: Partial<BuildWishes>
  /** Folders that are part of the source, by where they lie in it; modes and all. */
  folders?: Record<string, string>
}

const NO_WISHES: BuildWishes = { group: null, from: '', pre: [], post: [], env: {}, team: 'web', sources: ['https://'] }

export const APP = '01890000-0000-7000-8000-000000000001'

/** @param over makes the containers builds and images run in, in place of those of the rig's own backend */
export async function buildRig(network: string, over?: (images: ImageResolver) => Backend): Promise<BuildRig> {
  const folder = await makeRigFolder('build')
  const index = await reserveHomeIndex(folder)
  const registry = await MemoryRegistry.listen(join(folder, 'registry.sock'))
  const client = new RegistryClient({ socketPath: join(folder, 'registry.sock'), origin: 'http://registry' })
  const bases = new BaseImages(join(CACHE, 'base'))
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const openLayers = (): Promise<LayerStore> =>
    LayerStore.open({ folder: join(folder, 'layers'), bootId, logger: silentLogger })
  const layers = await openLayers()
  const images = new Images({ folder: join(folder, 'images'), layers, bases, registry: client })
  const resolver = { current: new CroftImageResolver(images, bases) }
  const found: ImageResolver = { resolve: async (uri) => await resolver.current.resolve(uri) }
  const options = {
    index,
    depotDir: join(folder, 'containers'),
    runDir: join(folder, 'run'),
    runcRoot: join(folder, 'runc'),
    shimPath: await buildShim({ cacheDir: folder }),
    network,
    images: found,
    allowPrivileged: true,
    logger: silentLogger,
  }
  const backend = await createLinuxBackend(options)
  await backend.recover()
  const containers = over?.(found) ?? backend
  await bundleBuildpacks(join(folder, 'buildpacks'))
  const npmrc = join(folder, 'npmrc')
  writeFileSync(npmrc, '')
  const tools = { folder: join(checkout, 'tools'), cache: CACHE, proxyEnvironment: {} }
  const ports: BuildPorts = {
    backend: containers,
    layers,
    images,
    bases,
    stacks: new StackImages(tools, bases),
    packageLists: new PackageLists(tools),
    gitSource: gitSourceOf(folder, []),
    registry: client,
    controller: {
      source: () => Promise.reject(new Error('no source')),
      wishes: () => Promise.resolve(NO_WISHES),
      image: () => Promise.reject(new Error('no image')),
      log: () => Promise.resolve(),
    },
    clock: systemClock,
    logger: silentLogger,
    paths: {
      builds: join(folder, 'builds'),
      caches: join(folder, 'caches'),
      secrets: join(folder, 'secrets'),
      buildpacks: join(folder, 'buildpacks'),
      addedBuildpacks: join(folder, 'home/buildpacks'),
      platformNode: PLATFORM_NODE,
      platformNpm: npmFolder() ?? '',
      npmrc,
      ca: existsSync('/etc/ssl/certs/ca-certificates.crt') ? '/etc/ssl/certs/ca-certificates.crt' : null,
      proxyEnvironment: {},
    },
  }
  let serial = 0
  const containerOf = async (image: string, env: string[]): Promise<Container> => {
    serial += 1
    const handle = `run-${serial}`
    await ports.images.ensure(APP, image)
    return await containers.create({ handle, image: { uri: `croft:${image}` }, env })
  }
  return {
    folder,
    backend,
    ports,
    registry,
    async build(files, options = {}) {
      serial += 1
      const tree = join(folder, `source-${serial}`)
      writeTree(tree, files)
      for (const [to, from] of Object.entries(options.folders ?? {})) {
        cpSync(from, join(tree, to), { recursive: true, verbatimSymlinks: true })
      }
      let log = ''
      const controller: BuildController = {
        source: options.source ?? (() => Promise.resolve(tarOf(tree))),
        wishes: () => Promise.resolve({ ...NO_WISHES, ...options.wishes }),
        image:
          options.image ?? (() => Promise.resolve({ refusal: { title: 'no such image', suggestion: 'name another' } })),
        log: (_id, text) => {
          log += text
          options.onLog?.(log)
          return Promise.resolve()
        },
      }
      const spec: BuildSpec = {
        kind: 'build',
        buildId: uuid(serial),
        stack: 'debian-12',
        previousImage: options.previousImage ?? null,
        env: {},
        limits: {
          memoryBytes: 2 * 1024 ** 3,
          cpuShares: 1000,
          cpuQuotaMillis: null,
          pids: 512,
          diskBytes: 4 * 1024 ** 3,
        },
        timeoutMs: 120_000,
        isClean: false,
        commit: '0'.repeat(40),
        ...options.change,
      }
      const context = {
        instanceId: uuid(serial),
        appId: options.appId ?? APP,
        appName: 'shop',
        handle: `build-${serial}`,
      }
      const startedAt = performance.now()
      const result = await runBuild(
        spec,
        context,
        { ...ports, controller },
        options.signal ?? new AbortController().signal,
      )
      return { result, log, tookMs: Math.round(performance.now() - startedAt) }
    },
    async runIn(image, argv, env = []) {
      const container = await containerOf(image, env)
      try {
        return await runToEnd(container, argv)
      } finally {
        await containers.destroy(container.handle)
      }
    },
    async serve(image, program, env) {
      const container = await containerOf(image, env)
      return await serveIn(container, program, async () => await containers.destroy(container.handle))
    },
    useResolver(other) {
      resolver.current = other
    },
    async loseLayers() {
      // the store that is given up still removes drafts of its last build
      await rm(join(folder, 'layers'), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
      await rm(join(folder, 'images'), { recursive: true, force: true })
      ports.layers = await openLayers()
      ports.images = new Images({ folder: join(folder, 'images'), layers: ports.layers, bases, registry: client })
      resolver.current = new CroftImageResolver(ports.images, bases)
    },
    async close() {
      await backend.destroyAll()
      await backend.close()
      await client.close()
      await registry.close()
      await cleanHome(options)
      await releaseHomeIndex(folder)
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 }) // something may still be clearing up
    },
  }
}

/** Where buildpacks are fetched from: over https, with the certificates and the proxies of the host. */
export function gitSourceOf(
  folder: string,
  egress: { host: string; port: number }[],
  ca: string | null = null,
): GitSource {
  return new GitSource({ folder: join(folder, 'git-buildpacks'), egress, ca, proxyEnvironment: {} })
}

const uuid = (n: number): string => `01890000-0000-7000-9000-${String(n).padStart(12, '0')}`
