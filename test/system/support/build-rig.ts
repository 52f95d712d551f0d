import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { dirname, join, relative, resolve } from 'node:path'
import { once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import {
  buildShim,
  cleanHome,
  createLinuxBackend,
  releaseHomeIndex,
  reserveHomeIndex,
  type LinuxBackend,
} from '@croft/backend-linux'
import type { Backend, Container, ImageResolver } from '@croft/garden-api'
import { bareEnv, messageOf, run, silentLogger, start, systemClock, waitFor, type Digest } from '@croft/kit'
import { RegistryClient } from '@croft/oci'
import type { BuildResult, BuildSpec, BuildWishes } from '@croft/protocol'
import type { BuildController, BuildPorts } from '../../../apps/executor/src/build/ports.js'
import { GitSource } from '../../../apps/executor/src/buildpack/git-source.js'
import { runBuild } from '../../../apps/executor/src/build/run-build.js'
import { BaseImages } from '../../../apps/executor/src/image/base-image.js'
import { CroftImageResolver } from '../../../apps/executor/src/image/image-resolver.js'
import { Images } from '../../../apps/executor/src/image/images.js'
import { LayerStore } from '../../../apps/executor/src/image/layers.js'
import { PackageLists } from '../../../apps/executor/src/stack/package-lists.js'
import { StackImages } from '../../../apps/executor/src/stack/stack-images.js'
import { makeRigFolder } from './rig-folders.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const CACHE = process.env['CROFT_CACHE'] ?? '/var/cache/croft'
const PLATFORM_NODE = join(ROOT, `node_modules/node-linux-${process.arch}`)

export interface Pushed {
  result: BuildResult
  log: string
  tookMs: number
}

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

export interface Serving {
  /** The body of a GET, once it listens. */
  get(path: string): Promise<string>
  /** Runs a shell line beside it, as the app's user. */
  sh(line: string): Promise<string>
  end(): Promise<void>
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

type Succeeded = Extract<BuildResult, { outcome: 'succeeded' }>
type Failed = Extract<BuildResult, { outcome: 'failed' }>

/** The result of a build that had to succeed. */
export function succeeded({ result, log }: Pushed): Succeeded {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}\n${log}`)
  return result
}

/** The body of the page at `/` of an image's web process. */
export async function firstPage(rig: BuildRig, image: string): Promise<string> {
  const serving = await rig.serve(image, '/cnb/process/web', ['PORT=8080'])
  try {
    return await serving.get('/')
  } finally {
    await serving.end()
  }
}

/** The result of a build that had to fail. */
export function failed({ result, log }: Pushed): Failed {
  if (result.outcome !== 'failed') throw new Error(`the build succeeded\n${log}`)
  return result
}

export const APP = '01890000-0000-7000-8000-000000000001'

/** What builds need of the host: root, the base image and npm, which set-up makes. */
export function buildNeeds(): string | null {
  if (process.getuid?.() !== 0) return 'root'
  if (!existsSync(join(CACHE, 'base/debian-12/current/image.json'))) return 'the base image (./croft up makes it)'
  return npmFolder() === null ? 'npm in the cache (./croft up fetches it)' : null
}

/** Makes the image with buildah where it is not there yet; null when it is there, else why not. */
export async function makeBuildah(): Promise<string | null> {
  const stacks = new StackImages(
    { folder: join(ROOT, 'tools'), cache: CACHE, proxyEnvironment: {} },
    new BaseImages(join(CACHE, 'base')),
  )
  const waiting = { signal: AbortSignal.timeout(240_000), onMaking: () => undefined }
  return stacks.buildah(waiting).then(
    () => null,
    (error: unknown) => `the image with buildah (${messageOf(error)})`,
  )
}

function npmFolder(): string | null {
  const folder = join(CACHE, 'npm')
  const version = existsSync(folder) ? readdirSync(folder).find((name) => !name.startsWith('.')) : undefined
  return version === undefined ? null : join(folder, version)
}

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
  const tools = { folder: join(ROOT, 'tools'), cache: CACHE, proxyEnvironment: {} }
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
      serial += 1
      const handle = `run-${serial}`
      await ports.images.ensure(APP, image)
      const container = await containers.create({ handle, image: { uri: `croft:${image}` }, env })
      try {
        return await runToEnd(container, argv)
      } finally {
        await containers.destroy(container.handle)
      }
    },
    async serve(image, program, env) {
      serial += 1
      const handle = `run-${serial}`
      await ports.images.ensure(APP, image)
      const container = await containers.create({ handle, image: { uri: `croft:${image}` }, env })
      const said = new Said()
      await container.run({ path: program, user: 'croft', dir: '/workspace' }, { stdout: said, stderr: said })
      const { containerIp } = await container.info()
      return {
        get: async (path) =>
          await waitFor(async () => (await fetch(`http://${containerIp}:8080${path}`)).text(), {
            what: `${program} to answer`,
            timeoutMs: 10_000,
          }).catch((error: unknown) => {
            throw new Error(`it does not answer; it said:\n${said.text}`, { cause: error })
          }),
        sh: async (line) => (await runToEnd(container, ['/bin/sh', '-c', line])).output,
        end: async () => await containers.destroy(container.handle),
      }
    },
    useResolver(other) {
      resolver.current = other
    },
    async loseLayers() {
      await rm(join(folder, 'layers'), { recursive: true, force: true })
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

/** Keeps what a program says. */
class Said extends Writable {
  #text = ''
  get text(): string {
    return this.#text
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#text += chunk.toString()
    done()
  }
}

async function runToEnd(container: Container, argv: string[]): Promise<{ exitCode: number; output: string }> {
  const chunks: Buffer[] = []
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  const [path = '', ...args] = argv
  const process = await container.run({ path, args, user: 'croft', dir: '/workspace' }, { stdout: sink, stderr: sink })
  const { exitCode } = await process.wait()
  return { exitCode, output: Buffer.concat(chunks).toString() }
}

const uuid = (n: number): string => `01890000-0000-7000-9000-${String(n).padStart(12, '0')}`

/** Copies the buildpacks and compiles and bundles their programs, so that the test never sees an older build of them. */
async function bundleBuildpacks(folder: string): Promise<void> {
  const { build } = await import('esbuild')
  const { cp } = await import('node:fs/promises')
  await cp(join(ROOT, 'buildpacks'), folder, { recursive: true, filter: (path) => !/\/(src|dist)$/.test(path) })
  for (const name of readdirSync(join(ROOT, 'buildpacks'))) {
    const entry = join(ROOT, 'buildpacks', name, 'src/build.ts')
    if (!existsSync(entry)) continue
    await build({
      entryPoints: [entry],
      outfile: join(folder, name, 'dist/build.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node24',
      conditions: ['croft-src'],
      logLevel: 'error',
      banner: { js: "import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url);" },
    })
  }
}

export function writeTree(folder: string, files: Record<string, string | Buffer>): void {
  mkdirSync(folder, { recursive: true })
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

/** The files of an example, by path. */
export function exampleFiles(name: string): Record<string, string> {
  const folder = join(ROOT, 'examples', name)
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => relative(folder, join(entry.parentPath, entry.name)))
  const own = paths.filter((path) => !/(^|\/)(node_modules|__pycache__)\//.test(path))
  return Object.fromEntries(own.map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
}

export function tarOf(folder: string): Readable {
  const child = start('tar', ['--create', '--numeric-owner', '--owner=0', '--group=0', '-C', folder, '.'], {
    env: bareEnv(),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  // Read at once: what a process that ended wrote is thrown away when nobody listens yet.
  return child.stdout?.pipe(new PassThrough()) ?? Readable.from([])
}

/** The distribution endpoints an executor uses, in memory. */
export class MemoryRegistry {
  readonly blobs = new Map<string, Buffer>()
  readonly manifests = new Map<string, Buffer>()
  /** Paths of uploads that were finished, for counting. */
  readonly uploads: string[] = []
  /** Whether it takes nothing more. */
  isFull = false
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request).then(
        ({ status, headers, body }) => response.writeHead(status, headers).end(body),
        () => response.writeHead(500).end(),
      )
    })
  }
  static async listen(socketPath: string): Promise<MemoryRegistry> {
    const registry = new MemoryRegistry()
    registry.#server.listen(socketPath)
    await once(registry.#server, 'listening')
    return registry
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Like a real registry it takes no manifest of blobs that it lacks. */
  #hasAllOf(manifest: Buffer): boolean {
    const { config, layers } = JSON.parse(manifest.toString()) as {
      config: { digest: string }
      layers: { digest: string }[]
    }
    return [config, ...layers].every(({ digest }) => this.blobs.has(digest))
  }

  async #answer(
    request: IncomingMessage,
  ): Promise<{ status: number; headers?: Record<string, string>; body?: Buffer }> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const url = new URL(request.url ?? '', 'http://registry')
    const [, , , kind, reference, upload] = url.pathname.split('/')
    if (this.isFull && request.method !== 'GET' && request.method !== 'HEAD') return { status: 507 }
    if (kind === 'blobs' && reference === 'uploads') {
      if (request.method === 'POST') return { status: 202, headers: { location: `${url.pathname}1` } }
      const digest = url.searchParams.get('digest') ?? ''
      if (upload === undefined || digestOf(body) !== digest) return { status: 400 }
      this.blobs.set(digest, body)
      this.uploads.push(digest)
      return { status: 201 }
    }
    const store = kind === 'blobs' ? this.blobs : this.manifests
    if (request.method === 'PUT') {
      if (digestOf(body) !== reference || !this.#hasAllOf(body)) return { status: 400 }
      store.set(reference, body)
      return { status: 201 }
    }
    const found = store.get(decodeURIComponent(reference ?? ''))
    if (found === undefined) return { status: 404 }
    const headers = { 'content-length': String(found.length) }
    return request.method === 'HEAD' ? { status: 200, headers } : { status: 200, headers, body: found }
  }
}

const digestOf = (bytes: Buffer): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest

/** The names in a layer's blob, sorted as they lie in it. */
export async function namesIn(blob: Buffer): Promise<string[]> {
  const { stdout } = await run('tar', ['--list', '--zstd', '-f', '-', '--absolute-names'], {
    input: blob,
    timeoutMs: 30_000,
    env: bareEnv(),
  })
  return stdout.toString().trim().split('\n')
}
