import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { BuildFailure } from './failure.js'
import type { Layer, LayerTypes } from './layer.js'
import { run } from './run.js'
import { say } from './say.js'
import { inRunImage, PLATFORM_APT, PrivateApt, STATUS } from './debs/apt.js'
import { relocate } from './debs/relocate.js'

/** Raised when the content of a layer changes although the packages do not. */
const LAYOUT = '1'
const MAX_AT_ONCE = 4
const PACKAGE = /^[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9]+)?(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?$/
const TRIPLETS: Partial<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

export interface DebsOptions {
  /** Of the build. */
  env: Record<string, string>
  /** What the layer is for; everything by default. */
  types?: LayerTypes
  /** Names what `finish` does: another name makes the layer anew. */
  layout?: string
  /** Changes a layer that was made anew: its own configuration, its environment. Not called when the former one is taken. */
  finish?: (versions: ReadonlyMap<string, string>) => void | Promise<void>
}

/**
 * Provides Debian packages, with everything they depend on that the run image does not have, in a layer: unpacked below
 * `layer.path` (`usr/bin`, `usr/lib/<triplet>`, `etc`, ...) and made to work there. No maintainer script runs, so nothing makes
 * `alternatives`, users or caches. The answer is every package in the layer with its version, which the layer's metadata has too.
 * The layer of the former build is taken when the versions are the same. The buildpack needs `needs = ["debs"]` in
 * `[metadata.croft]` of its buildpack.toml.
 * @throws BuildFailure when a package is not there or cannot be fetched
 */
export async function installDebs(
  layer: Layer,
  packages: readonly string[],
  options: DebsOptions,
): Promise<Map<string, string>> {
  const startedAt = performance.now()
  const asked = [...new Set(packages)].toSorted()
  const wrong = asked.find((name) => !PACKAGE.test(name))
  if (wrong !== undefined)
    throw new BuildFailure(`${JSON.stringify(wrong)} is no name of a Debian package`, 'correct it')
  const types = options.types ?? { launch: true, build: true, cache: true }
  const distribution = distributionOf(options.env)
  const layout = [LAYOUT, process.arch, distribution, options.layout ?? ''].join(' ')
  const platform = realpathSync(join(PLATFORM_APT, 'current')) // one state of the lists, whatever happens meanwhile

  const former = layer.metadata()
  const formerPackages = former['layout'] === layout ? packagesOf(former['packages']) : null
  const state = stateOf(platform, asked)
  const seen = layer.sibling(`${layer.name}-lists`)
  const describe = (versions: ReadonlyMap<string, string>): void => {
    layer.describe(types, { layout, packages: Object.fromEntries(versions) })
    mkdirSync(seen.path, { recursive: true })
    writeFileSync(join(seen.path, 'state'), state)
    seen.describe({ cache: true }, { state })
  }
  if (formerPackages !== null && seen.metadata()['state'] === state) {
    layer.describe(types, { layout, packages: Object.fromEntries(formerPackages) })
    seen.describe({ cache: true }, { state })
    say.detail('Debian packages unchanged', performance.now() - startedAt)
    return formerPackages
  }

  const apt = new PrivateApt(platform, '/tmp', options.env, distribution)
  try {
    const archives = await apt.resolve(asked)
    const versions = new Map(archives.map((one) => [one.name, one.version]))
    if (formerPackages !== null && isSame(versions, formerPackages)) {
      describe(versions)
      say.detail('Debian packages unchanged', performance.now() - startedAt)
      return versions
    }
    layer.clear()
    if (archives.length > 0) await unpack(await apt.fetch(asked), layer.path, options.env)
    relocate(layer.path)
    await options.finish?.(versions)
    describe(versions)
    say.detail(summary(archives), performance.now() - startedAt)
    return versions
  } finally {
    apt.close()
  }
}

/** Several at a time: most of it is decompression on one core, and no two packages that go together have the same file. */
async function unpack(archives: readonly string[], to: string, env: Record<string, string>): Promise<void> {
  const left = [...archives]
  const next = async (): Promise<void> => {
    for (let archive = left.shift(); archive !== undefined; archive = left.shift()) {
      const ran = await run('dpkg-deb', ['--extract', archive, to], { cwd: '/tmp', env })
      if (ran.exitCode !== 0) throw new Error(`${archive} cannot be unpacked: ${ran.stderr}`)
    }
  }
  await Promise.all(Array.from({ length: Math.min(MAX_AT_ONCE, availableParallelism()) }, next))
}

/** Which of these packages the stack's Debian has, with their versions: for buildpacks that guess at names. */
export async function availableDebs(
  packages: readonly string[],
  { env }: { env: Record<string, string> },
): Promise<Map<string, string>> {
  const names = [...new Set(packages)].filter((name) => PACKAGE.test(name)).toSorted()
  if (names.length === 0) return new Map()
  const platform = realpathSync(join(PLATFORM_APT, 'current'))
  const apt = new PrivateApt(platform, '/tmp', env, distributionOf(env))
  try {
    return await apt.candidates(names)
  } finally {
    apt.close()
  }
}

/** Where programs, libraries and headers of a layer of packages lie, for `PATH` and its kin. */
export function debsPaths(root: string): { bin: string[]; lib: string[]; include: string[]; pkgconfig: string[] } {
  const triplet = TRIPLETS[process.arch] ?? ''
  const at = (...places: string[]): string[] => places.map((place) => join(root, place))
  return {
    bin: at('usr/bin', 'usr/sbin', 'usr/games'),
    lib: at(`usr/lib/${triplet}`, 'usr/lib'),
    include: at('usr/include', `usr/include/${triplet}`),
    pkgconfig: at(`usr/lib/${triplet}/pkgconfig`, 'usr/lib/pkgconfig', 'usr/share/pkgconfig'),
  }
}

/** `Debian 12` */
function distributionOf(env: Record<string, string>): string {
  const name = env['CNB_TARGET_DISTRO_NAME'] ?? 'debian'
  return `${name.replace(/^d/, 'D')} ${env['CNB_TARGET_DISTRO_VERSION'] ?? ''}`.trim()
}

/** Same lists, same run image, same wish: then apt need not be asked again. */
function stateOf(platform: string, asked: readonly string[]): string {
  const hash = createHash('sha256')
    .update(platform)
    .update('\0')
    .update(readFileSync(inRunImage(STATUS)))
  return hash.update(`\0${asked.join(' ')}`).digest('hex')
}

function packagesOf(value: unknown): Map<string, string> | null {
  if (typeof value !== 'object' || value === null) return null
  return new Map(
    Object.entries(value)
      .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, version]) => b.get(name) === version)
}

function summary(archives: readonly { bytes: number }[]): string {
  if (archives.length === 0) return 'the stack has these packages already'
  const megabytes = archives.reduce((sum, { bytes }) => sum + bytes, 0) / 1_000_000
  return `${archives.length} Debian package${archives.length === 1 ? '' : 's'}, ${megabytes.toFixed(1)} MB`
}
