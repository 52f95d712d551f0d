import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Container, Process } from '@croft/garden-api'
import {
  BUILD_ROOT_FOLDERS,
  envList,
  escapeId,
  interfaceEnv,
  isSbomName,
  LifecycleError,
  type Buildpack,
  type BuildpackOutput,
  type BuildPort,
  type DetectResult,
  type Env,
  type LayerEnv,
  type Sbom,
  type Target,
} from '@croft/lifecycle'
import { listBeneath, mayBeBeneath, readBeneath } from './beneath.js'
import type { BuildFolders } from './build-folders.js'
import type { BuildLog } from './build-log.js'
import { LAYERS } from './buildpacks-container.js'
import { EXCHANGE, PLATFORM, WORKSPACE } from './container-shape.js'
import { OutOfMemory } from './failures.js'
import { isOpaque } from './layer-trees.js'

const DETECT_OUTPUT_BYTES = 64 * 1024
/** What `bin/detect` gives that says the app is none of its own. */
const NO_MATCH: DetectResult = { exitCode: 100, output: '', plan: '' }
const SMALL_FILE_BYTES = 1024 * 1024
const MAX_SBOM_BYTES = 16 * 1024 * 1024
const MAX_SBOMS = 200
/** All that the buildpacks of one build leave for us to read: it stays in memory until the image is made. */
const MAX_READ_BYTES = 64 * 1024 * 1024
/** What images are built for. */
export const EXEC_ENV = 'production'
const MAX_ENV_FILES = 1000

/** Runs the programs of buildpacks in a build container and reads what they leave, trusting none of it. */
export class BuildContainer implements BuildPort {
  #container: Container
  readonly #folders: BuildFolders
  /** Whom programs run as. */
  readonly #user: string
  readonly #trees: ReadonlyMap<string, string>
  readonly #target: Target
  readonly #log: BuildLog
  readonly #signal: AbortSignal
  #serial = 0
  #readBytes = 0

  constructor(input: {
    container: Container
    folders: BuildFolders
    /** Restored layers: `<buildpack folder>/<layer>` to the tree that holds it. */
    restored: ReadonlyMap<string, string>
    target: Target
    log: BuildLog
    signal: AbortSignal
  }) {
    this.#container = input.container
    this.#folders = input.folders
    this.#user = `${input.folders.owner.uid}:${input.folders.owner.gid}`
    this.#trees = input.restored
    this.#target = input.target
    this.#log = input.log
    this.#signal = input.signal
  }

  /** From here on programs run in another container with the same mounts. */
  moveTo(container: Container): void {
    this.#container = container
  }

  async detect(buildpack: Buildpack, env: Env): Promise<DetectResult> {
    const files = buildpack.toml.metadata?.croft?.['only-with']
    if (files !== undefined && !(await this.#mayHave(files))) return NO_MATCH
    const plan = await this.#exchangeFile('plan', '')
    const output = new Collector(DETECT_OUTPUT_BYTES)
    const process = await this.#container.run(
      {
        path: `${buildpack.directory}/bin/detect`,
        args: [PLATFORM, `${EXCHANGE}/${plan}`],
        dir: WORKSPACE,
        user: this.#user,
        env: envList({ ...env, ...interfaceEnv(buildpack, this.#told(), { plan: `${EXCHANGE}/${plan}` }) }),
      },
      { stdout: output, stderr: output },
    )
    const exitCode = await this.#waitFor(process)
    return {
      exitCode,
      output: output.text(),
      plan: (await readBeneath(this.#folders.exchange, [plan], SMALL_FILE_BYTES)) ?? '',
    }
  }

  /** Whether one of these may be in the app: to look costs a tenth of starting a program that looks. */
  async #mayHave(paths: readonly string[]): Promise<boolean> {
    for (const path of paths) if (await mayBeBeneath(this.#folders.workspace, path)) return true
    return false
  }

  async runBuild(buildpack: Buildpack, env: Env, plan: string): Promise<void> {
    const planFile = await this.#exchangeFile('buildpack-plan', plan)
    const failureFile = await this.#exchangeFile('failure', '')
    const layers = `${LAYERS}/${escapeId(buildpack.id)}`
    let last = ''
    const onLine = (line: string): void => {
      if (line.trim() !== '') last = line.trim()
    }
    const outputs = [this.#log.lines(onLine), this.#log.lines(onLine)] as const
    const startedAt = performance.now()
    const process = await this.#container.run(
      {
        path: `${buildpack.directory}/bin/build`,
        args: [layers, PLATFORM, `${EXCHANGE}/${planFile}`],
        dir: WORKSPACE,
        user: this.#user,
        env: envList({
          ...env,
          ...interfaceEnv(buildpack, this.#told(), { buildpackPlan: `${EXCHANGE}/${planFile}`, layers }),
          CROFT_FAILURE_PATH: `${EXCHANGE}/${failureFile}`,
        }),
      },
      { stdout: outputs[0], stderr: outputs[1] },
    )
    const exitCode = await this.#waitFor(process)
    await Promise.all(outputs.map((output) => finished(output.end())))
    this.#log.took(buildpack.name, performance.now() - startedAt)
    if (exitCode === 0) return
    const told = (await readBeneath(this.#folders.exchange, [failureFile], SMALL_FILE_BYTES)) ?? ''
    const [cause = '', remedy = ''] = told.split('\n')
    const said = last === '' ? '' : `: ${last.slice(0, 300)}`
    throw new LifecycleError(
      'build-failed',
      cause === '' ? `the ${buildpack.name} buildpack failed with exit code ${exitCode}${said}` : cause.slice(0, 500),
      remedy === '' ? 'read the lines above, fix the app and push again' : remedy.slice(0, 500),
    )
  }

  async readOutput(buildpack: Buildpack): Promise<BuildpackOutput> {
    const folder = escapeId(buildpack.id)
    const files = (await listBeneath(this.#folders.layers, [folder])) ?? []
    const { layers: root } = this.#folders
    const read = (name: string, maxBytes = SMALL_FILE_BYTES): Promise<string | undefined> =>
      this.#readOf(buildpack, root, [folder, name], maxBytes)
    const [launch, build, store] = await Promise.all([read('launch.toml'), read('build.toml'), read('store.toml')])
    const layers = new Map<string, string>()
    for (const { name, isFile } of files) {
      const layer = /^(.+)\.toml$/.exec(name)?.[1]
      if (!isFile || layer === undefined || ['launch', 'build', 'store'].includes(layer)) continue
      layers.set(layer, (await read(name)) ?? '')
    }
    const sboms: Sbom[] = []
    for (const { name } of files.filter(({ name, isFile }) => isFile && isSbomName(name)).slice(0, MAX_SBOMS)) {
      sboms.push({ file: name, text: (await read(name, MAX_SBOM_BYTES)) ?? '' })
    }
    return {
      ...(launch !== undefined && { launch }),
      ...(build !== undefined && { build }),
      ...(store !== undefined && { store }),
      layers,
      sboms,
    }
  }

  async putAside(buildpack: Buildpack, layer: string): Promise<void> {
    const folder = `${LAYERS}/${escapeId(buildpack.id)}/${layer}`
    const script = '[ ! -d "$1" ] || { rm -rf -- "$1.ignore" && mv -T -- "$1" "$1.ignore"; }'
    const process = await this.#container.run({
      path: '/bin/sh',
      args: ['-c', script, 'sh', folder],
      dir: '/',
      user: this.#user,
      env: ['PATH=/usr/bin:/bin'],
    })
    const exitCode = await this.#waitFor(process)
    if (exitCode === 0) return
    throw new LifecycleError('build', `layer "${layer}" of ${buildpack.id} could not be put aside`, 'fix the buildpack')
  }

  warn(text: string): void {
    this.#log.detail(`Warning: ${text}`)
  }

  /** A file that a buildpack left. @throws LifecycleError when it, or all that they left, is larger than it may be */
  async #readOf(buildpack: Buildpack, root: string, parts: string[], maxBytes: number): Promise<string | undefined> {
    const tooLarge = (what: string, cause?: unknown): LifecycleError => {
      const title = `${what}: the buildpack ${buildpack.id} wrote it`
      return new LifecycleError('build', title, 'let the buildpack write less', { cause })
    }
    const text = await readBeneath(root, parts, maxBytes).catch((error: unknown) => {
      throw error instanceof RangeError ? tooLarge(error.message, error) : error
    })
    this.#readBytes += text?.length ?? 0
    if (this.#readBytes <= MAX_READ_BYTES) return text
    throw tooLarge(`${parts.at(-1)} and what was read before it are larger than ${MAX_READ_BYTES} bytes`)
  }

  async readLayerEnv(buildpack: Buildpack, layer: string): Promise<LayerEnv> {
    const parts = [escapeId(buildpack.id), layer]
    const upper = this.#folders.layers
    const above = await listBeneath(upper, parts)
    const tree = this.#trees.get(parts.join('/'))
    const isHidden = above !== null && (await isOpaque(join(upper, ...parts)))
    const lower = tree === undefined || isHidden ? null : join(tree, 'layers')
    const below = lower === null ? null : await listBeneath(lower, parts)
    const hidden = new Set((above ?? []).map(({ name }) => name))
    const present = [...(above ?? []), ...(below ?? []).filter(({ name }) => !hidden.has(name))]
    const folders = present.filter(({ name, isDirectory }) => isDirectory && BUILD_ROOT_FOLDERS.includes(name))
    return {
      folders: new Set(folders.map(({ name }) => name)),
      env: await this.#envFiles(buildpack, upper, lower, [...parts, 'env']),
      envBuild: await this.#envFiles(buildpack, upper, lower, [...parts, 'env.build']),
    }
  }

  /** The files of an `env` folder: the upper one's, and the restored one's that it does not name. */
  async #envFiles(
    buildpack: Buildpack,
    upper: string,
    lower: string | null,
    parts: string[],
  ): Promise<Map<string, string>> {
    const files = new Map<string, string>()
    for (const root of lower === null ? [upper] : [lower, upper]) {
      for (const { name, isFile } of ((await listBeneath(root, parts)) ?? []).slice(0, MAX_ENV_FILES)) {
        const text = isFile ? await this.#readOf(buildpack, root, [...parts, name], SMALL_FILE_BYTES) : undefined
        if (text === undefined) files.delete(name)
        else files.set(name, text)
      }
    }
    return files
  }

  #told(): { target: Target; execEnv: string; platform: string } {
    return { target: this.#target, execEnv: EXEC_ENV, platform: PLATFORM }
  }

  async #exchangeFile(kind: string, content: string): Promise<string> {
    this.#serial += 1
    const name = `${kind}-${this.#serial}`
    const path = join(this.#folders.exchange, name)
    const file = await open(path, 'wx', 0o644) // never through a name the build may have put there
    try {
      await file.writeFile(content)
      await file.chown(this.#folders.owner.uid, this.#folders.owner.gid)
    } finally {
      await file.close()
    }
    return name
  }

  async #waitFor(process: Process): Promise<number> {
    const exit = await process.wait(this.#signal)
    if (exit.exitCode !== 0 && exit.isOutOfMemory) throw new OutOfMemory()
    return exit.exitCode
  }
}

/** Keeps the first bytes written to it. */
class Collector extends Writable {
  readonly #limit: number
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor(limitBytes: number) {
    super()
    this.#limit = limitBytes
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#bytes < this.#limit) this.#chunks.push(chunk.subarray(0, this.#limit - this.#bytes))
    this.#bytes += chunk.length
    done()
  }
  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }
}
