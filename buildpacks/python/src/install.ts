import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { availableDebs, BuildFailure, prepended, run, say, type Layer } from '@croft/buildpack-kit'
import { languagePackage, layerBill } from '@croft/stacks'
import { applying, describeDisagreements, disagreements } from './debian-packages.js'
import type { Dependencies } from './dependencies.js'
import type { MarkerEnvironment } from './markers.js'
import { debianPackages, presentPackage } from './package-name.js'
import { packagesKey } from './packages-key.js'
import { isMissing, isUnreachable, pipFailure } from './pip-messages.js'
import { compileBytecode, presentPackages, type PythonLayer } from './python-layer.js'

export interface InstallInput {
  appDirectory: string
  /** The virtual environment; with Debian's packages there is none, and it only keeps what the next build wants to know. */
  layer: Layer
  /** What was provided so far; `withDebs` makes it anew with packages of Debian. */
  python: PythonLayer
  withDebs(packages: readonly string[]): Promise<PythonLayer>
  dependencies: Dependencies
  /** The file that says what is needed, for messages. */
  file: string
  /** Packages the app does not name but is served by. */
  added: readonly string[]
  environment: MarkerEnvironment
  env: Record<string, string>
  /** `debian-12`, with the architecture. */
  platform: string
}

export interface Installed {
  python: PythonLayer
  /** For programs of the app. */
  env: Record<string, string>
}

/** Where packages came from, as the layer's metadata says it. */
type Source = 'vendored' | 'index' | 'debian'

const WHEEL_FOLDERS = ['wheels', 'wheelhouse', 'vendor', 'vendor/wheels']
const TYPES = { launch: true, build: true, cache: true }
/** What lies on the path of pip itself is not the app's. */
const FLAGS = [
  '--ignore-installed',
  '--disable-pip-version-check',
  '--no-input',
  '--no-compile',
  '--no-cache-dir',
  '--progress-bar=off',
]

/**
 * Installs the packages of the app: from the wheels it brings when they are all there, else from the package index, else, where
 * none answers, Debian's packages when they fulfil what is asked for. The same inputs as last time mean that nothing is installed.
 */
export class PackageInstaller {
  readonly #startedAt = performance.now()

  constructor(private readonly input: InstallInput) {}

  /** @throws BuildFailure */
  async install(): Promise<Installed> {
    const { layer, python } = this.input
    say.step('Installing dependencies')
    const former = formerOf(layer)
    if (former !== null && former.key === this.#key(python, former.source)) {
      this.#describe(former.key, former.source, former.packages)
      say.detail('dependencies unchanged', performance.now() - this.#startedAt)
      return this.#installed(python, former.source)
    }
    layer.clear()
    if (this.#isNothing()) return this.#finish(python, 'debian', [])
    return (await this.#withPip()) ?? (await this.#fromDebian())
  }

  #isNothing(): boolean {
    const { forPip, foreign, requirements } = this.input.dependencies
    return foreign.length === 0 && requirements.length === 0 && this.input.added.length === 0 && !('file' in forPip)
  }

  /** Null where the packages are only to be had from an index, and none answers. */
  async #withPip(): Promise<Installed | null> {
    const { python, layer } = this.input
    const wheels = this.#wheelFolders()
    await this.#makeEnvironment()
    if (wheels.length > 0) {
      const ran = await this.#pip('--no-index', ...wheels.flatMap((folder) => ['--find-links', folder]))
      if (ran.exitCode === 0) return this.#finish(python, 'vendored', [])
      if (!isMissing(ran.output)) throw this.#failure(ran)
      say.detail(`the wheels of the app do not have ${missingIn(ran.output)}; asking the package index`)
    }
    const ran = await this.#pip(
      '--retries',
      '1',
      '--timeout',
      '15',
      ...wheels.flatMap((folder) => ['--find-links', folder]),
    )
    if (ran.exitCode === 0) return this.#finish(python, 'index', [])
    if (!isUnreachable(ran.output)) throw this.#failure(ran)
    if (wheels.length > 0) {
      const missing = missingIn(ran.output)
      throw new BuildFailure(
        `the wheels of the app do not have ${missing}, and no package index answers`,
        `run \`pip download -d ${wheels[0]} -r ${this.input.file}\`, commit the wheels and push again`,
      )
    }
    say.detail('no package index answers; taking packages from Debian')
    layer.clear()
    return null
  }

  async #makeEnvironment(): Promise<void> {
    const { layer, python } = this.input
    mkdirSync(layer.path, { recursive: true })
    const made = await run(python.program, ['-m', 'venv', '--without-pip', layer.path], {
      cwd: '/tmp',
      env: python.env,
    })
    if (made.exitCode !== 0) throw new Error(`no virtual environment: ${made.stderr}`)
  }

  async #pip(...options: string[]): Promise<{ exitCode: number | null; output: string }> {
    const { appDirectory, layer, python, dependencies, added } = this.input
    const { forPip } = dependencies
    const what: string[] = []
    if ('file' in forPip) what.push('--requirement', forPip.file)
    else {
      const list = join('/tmp', 'requirements.txt')
      writeFileSync(list, `${forPip.lines.join('\n')}\n`)
      what.push('--requirement', list)
      if (forPip.hasEverything && forPip.lines.length > 0) what.push('--no-deps')
    }
    const include = join(python.root, 'usr/include') // the headers of Python ask for one another from there
    const env = { ...python.env, PYTHONPATH: python.pip, CPATH: include, HOME: '/tmp' }
    const program = join(layer.path, 'bin/python')
    const install = async (...args: string[]): Promise<{ exitCode: number | null; output: string }> => {
      const ran = await run(program, ['-m', 'pip', 'install', ...FLAGS, ...options, ...args], {
        cwd: appDirectory,
        env,
      })
      return { exitCode: ran.exitCode, output: `${ran.stdout}\n${ran.stderr}` }
    }
    const first = what.length === 2 && added.length > 0 ? [...what, ...added] : what
    const ran = await install(...first)
    // What a lock file does not name cannot be in one call with it: there, nothing but the lock file counts.
    return ran.exitCode === 0 && first === what && added.length > 0 ? install(...added) : ran
  }

  #failure({ exitCode, output }: { exitCode: number | null; output: string }): BuildFailure {
    process.stdout.write(`${output.trim()}\n`)
    return pipFailure(exitCode, output)
  }

  async #fromDebian(): Promise<Installed> {
    const { dependencies, added, environment, env, file } = this.input
    const [foreign] = dependencies.foreign
    if (foreign !== undefined) {
      throw new BuildFailure(`no package index answers, and ${foreign} comes from elsewhere`, remedyFor(file))
    }
    const wanted = applying(dependencies.requirements, environment)
    const names = [...wanted.map(({ name }) => name), ...added]
    const candidates = names.map(debianPackages)
    const available = await availableDebs(candidates.flat(), { env })
    const packages = candidates.flatMap((some) => some.find((name) => available.has(name)) ?? []).toSorted()
    const python = await this.input.withDebs(packages)
    const found = disagreements(wanted, presentPackages(python.root))
    if (found.length > 0) {
      throw new BuildFailure(
        `no package index answers, and Debian's packages are not what ${file} asks for: ${describeDisagreements(found)}`,
        remedyFor(file),
      )
    }
    return this.#finish(python, 'debian', packages)
  }

  /** Keeps what is needed to do without all this next time. */
  async #finish(python: PythonLayer, source: Source, packages: readonly string[]): Promise<Installed> {
    const { layer } = this.input
    if (source !== 'debian') {
      await compileBytecode(python.program, [join(layer.path, 'lib')], python.env)
      layer.env({ ...prepended({ PATH: join(layer.path, 'bin') }), 'VIRTUAL_ENV.override': layer.path })
    }
    this.#describe(this.#key(python, source), source, packages)
    const from = { vendored: "the app's wheels", index: 'the package index', debian: 'Debian' }[source]
    const count = source === 'debian' ? packages.length : installedIn(layer.path).length
    if (count === 0) say.detail('the app asks for no packages')
    else say.detail(`${count} package${count === 1 ? '' : 's'} from ${from}`, performance.now() - this.#startedAt)
    return this.#installed(python, source)
  }

  #describe(key: string, source: Source, packages: readonly string[]): void {
    mkdirSync(this.input.layer.path, { recursive: true })
    this.input.layer.describe(TYPES, { key, source, packages: [...packages] })
    // packages of Debian are in another layer
    const components = installedIn(this.input.layer.path).flatMap((file) => {
      const found = presentPackage(file)
      return found === null ? [] : [languagePackage('pypi', found.name, found.version)]
    })
    this.input.layer.bill(layerBill(components))
  }

  #installed(python: PythonLayer, source: Source): Installed {
    const bin = join(this.input.layer.path, 'bin')
    const env = source === 'debian' ? python.env : { ...python.env, PATH: `${bin}:${python.env['PATH'] ?? ''}` }
    return { python, env }
  }

  #key(python: PythonLayer, source: Source): string {
    const { dependencies, added, env, platform, appDirectory } = this.input
    const folders = this.#wheelFolders()
    const wheels = folders.flatMap((folder) =>
      readdirSync(join(appDirectory, folder)).map(
        (name) => `${folder}/${name} ${statSync(join(appDirectory, folder, name)).size}`,
      ),
    )
    return packagesKey({
      texts: dependencies.texts,
      wheels,
      added,
      pythonVersion: python.version,
      settings: Object.fromEntries(Object.entries(env).filter(([name]) => /^PIP_(?!CERT$|CONFIG_FILE$)/.test(name))),
      platform: source === 'debian' ? `${platform} ${python.debs}` : platform,
    })
  }

  #wheelFolders(): string[] {
    return WHEEL_FOLDERS.filter((folder) => {
      const path = join(this.input.appDirectory, folder)
      return existsSync(path) && readdirSync(path).some((name) => name.endsWith('.whl'))
    })
  }
}

function missingIn(output: string): string {
  return /No matching distribution found for ([^\s]+)/.exec(output)?.[1] ?? 'a package it needs'
}

function remedyFor(file: string): string {
  return `run \`pip download -d wheels -r ${file === 'requirements.txt' ? file : 'REQUIREMENTS'}\` and commit the wheels, or ask for the versions that are there, or have the platform reach a package index (its settings pypi-index and proxy, or PIP_INDEX_URL)`
}

/** What the former build recorded of its packages. */
export function formerOf(layer: Layer): { key: string; source: Source; packages: string[] } | null {
  const { key, source, packages } = layer.metadata()
  if (typeof key !== 'string' || (source !== 'vendored' && source !== 'index' && source !== 'debian')) return null
  return { key, source, packages: Array.isArray(packages) ? packages.filter((name) => typeof name === 'string') : [] }
}

/** The names of the folders in which pip describes what it installed into an environment. */
function installedIn(venv: string): string[] {
  const lib = join(venv, 'lib')
  const lines = existsSync(lib) ? readdirSync(lib) : []
  return lines.flatMap((line) =>
    readdirSync(join(lib, line, 'site-packages')).filter((name) => name.endsWith('.dist-info')),
  )
}
