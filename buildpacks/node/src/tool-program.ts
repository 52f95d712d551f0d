import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuildFailure, run, say, type Layer } from '@croft/buildpack-kit'
import type { CommittedTool, WantedTool } from './choose-tool.js'
import { moveFile } from './move-file.js'
import { satisfies } from './node-version.js'
import { fetchPackage, type RegistryAccess } from './registry-package.js'
import type { Workspace } from './workspace.js'

/** Raised when the layer's content changes although versions do not. */
const LAYOUT = '1'

/** A package manager that can be run. */
export interface ToolProgram {
  version: string
  /** The words before its arguments. */
  argv: readonly string[]
}

export interface ToolProgramOptions {
  name: 'yarn' | 'pnpm'
  /** The app's Node. */
  node: string
  workspace: Workspace
  access: RegistryAccess
  /** Whether processes of the app call it. */
  isForLaunch: boolean
  /** What it needs to know there. */
  launchEnv: Record<string, string>
}

/**
 * Provides yarn or pnpm in `layer`, with a program of that name for scripts: the one that is committed with the app, the one of the
 * build before when it fits, else one from the npm registry, checked by npm and against the hash that package.json gives.
 * @throws BuildFailure when it is not to be had or is another one
 */
export async function provideTool(
  layer: Layer,
  wanted: WantedTool | CommittedTool,
  options: ToolProgramOptions,
): Promise<ToolProgram> {
  const { name, node } = options
  const types = { build: true, cache: true, launch: options.isForLaunch }
  const former = layer.metadata()
  const has = (key: string, value: string): boolean => former[key] === value
  if ('path' in wanted) {
    const file = options.workspace.at(wanted.path)
    const version = wanted.version === 'committed' ? options.workspace.digest(wanted.path).slice(0, 12) : wanted.version
    const metadata = { layout: LAYOUT, path: wanted.path, version }
    if (!has('layout', LAYOUT) || !has('path', wanted.path)) {
      layer.clear()
      writePrograms(layer, [name], ['node', file], options)
    }
    layer.describe(types, metadata)
    return { version, argv: [node, file] }
  }

  const identity = { layout: LAYOUT, package: wanted.package, hash: wanted.hash ?? '' }
  const isKept = Object.entries(identity).every(([key, value]) => has(key, value))
  const formerVersion = former['version']
  if (isKept && typeof formerVersion === 'string' && satisfies(formerVersion, wanted.range)) {
    layer.describe(types, { ...identity, version: formerVersion })
    return programIn(layer, node, formerVersion)
  }
  const startedAt = performance.now()
  const because = wanted.source === null ? 'by the form of its lock file' : `${wanted.source} in package.json`
  say.step(`Installing ${name} (${because})`)
  const version = await fetchTool(layer, wanted, options)
  const program = programIn(layer, node, version)
  const [, ...words] = program.argv
  const called = words.length === 0 ? program.argv : ['node', ...words]
  writePrograms(layer, name === 'yarn' ? ['yarn', 'yarnpkg'] : ['pnpm'], called, options)
  layer.describe(types, { ...identity, version })
  say.detail(`${name} ${version}`, performance.now() - startedAt)
  return program
}

async function fetchTool(layer: Layer, wanted: WantedTool, options: ToolProgramOptions): Promise<string> {
  const { name, access } = options
  const what = `${name} ${wanted.range}`
  const source = wanted.source === null ? 'the lock file' : `${wanted.source} in package.json`
  const fetched = await fetchPackage(wanted.package, wanted.range, what, access)
  if (fetched === null) {
    throw new BuildFailure(
      `there is no ${what}, which ${source} asks for`,
      `name a version that is there in package.json ("packageManager"), commit and push again`,
    )
  }
  layer.clear()
  await unpack(fetched.archive, layer.path, what, access)
  const program = join(layer.path, 'package')
  if (wanted.hash !== null) {
    // Of yarn 2 and later it is that of the one file yarn itself publishes, of the others that of the package.
    const hashed = wanted.package === '@yarnpkg/cli-dist' ? join(program, 'bin/yarn.js') : fetched.archive
    const [algorithm = '', expected = ''] = wanted.hash.split('.', 2)
    if (digestOf(hashed, algorithm) !== expected) {
      layer.remove()
      throw new BuildFailure(
        `${name} ${fetched.version} is not the one that packageManager in package.json names (${algorithm} differs)`,
        'find out which registry served it before you change packageManager',
      )
    }
  }
  await fetchNative(program, fetched.version, options)
  return fetched.version
}

/** pnpm 12 and later are a program for each kind of machine, in a package of its own. */
async function fetchNative(program: string, version: string, { name, access }: ToolProgramOptions): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(program, 'package.json'), 'utf8')) as Record<string, unknown>
  const native = `@pnpm/exe.linux-${process.arch}`
  const parts = manifest['optionalDependencies']
  if (name !== 'pnpm' || typeof parts !== 'object' || parts === null || !(native in parts)) return
  const fetched = await fetchPackage(native, version, `pnpm ${version}`, access)
  if (fetched === null) {
    throw new BuildFailure(
      `there is no pnpm ${version} for this machine (${native})`,
      'name another version in package.json ("packageManager"), commit and push again',
    )
  }
  await unpack(fetched.archive, fetched.work, `pnpm ${version}`, access)
  moveFile(join(fetched.work, 'package/pnpm'), join(program, 'pnpm-native'))
  chmodSync(join(program, 'pnpm-native'), 0o755)
}

async function unpack(archive: string, folder: string, what: string, { env }: RegistryAccess): Promise<void> {
  const unpacked = await run('tar', ['-xzf', archive, '-C', folder, '--no-same-owner'], { cwd: '/', env })
  if (unpacked.exitCode !== 0) throw new BuildFailure(`the package of ${what} cannot be unpacked`, 'push again')
}

/** How what lies in the layer is run. */
function programIn(layer: Layer, node: string, version: string): ToolProgram {
  const at = (file: string): string => join(layer.path, 'package', file)
  if (existsSync(at('pnpm-native'))) return { version, argv: [at('pnpm-native')] }
  const file = ['bin/yarn.js', 'bin/pnpm.mjs', 'bin/pnpm.cjs'].find((one) => existsSync(at(one)))
  if (file === undefined) throw new BuildFailure(`the package of version ${version} holds no program`, 'push again')
  return { version, argv: [node, at(file)] }
}

function writePrograms(
  layer: Layer,
  names: readonly string[],
  words: readonly string[],
  { launchEnv }: ToolProgramOptions,
): void {
  mkdirSync(join(layer.path, 'bin'), { recursive: true })
  for (const name of names) {
    const file = join(layer.path, 'bin', name)
    writeFileSync(file, `#!/bin/sh\nexec ${words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')} "$@"\n`)
    chmodSync(file, 0o755)
  }
  layer.launchEnv(Object.fromEntries(Object.entries(launchEnv).map(([key, value]) => [`${key}.default`, value])))
}

function digestOf(file: string, algorithm: string): string {
  return createHash(algorithm).update(readFileSync(file)).digest('hex')
}
