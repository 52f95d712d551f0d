import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { BuildFailure, run, say, type Layer } from '@croft/buildpack-kit'
import { billOfModules } from './installed-packages.js'
import { moveFile } from './move-file.js'
import { satisfies, type WantedNode } from './node-version.js'
import { fetchPackage, type RegistryAccess } from './registry-package.js'

/** Raised when the layer's content changes although versions do not. */
const LAYOUT = '1'
const TYPES = { launch: true, build: true, cache: true }

export interface NodePlatform extends RegistryAccess {
  /** A folder with `bin/node`: the platform's own Node. */
  node: string
  /** Reads what the layer is made by. */
  read: (path: string) => string | undefined
}

export interface NodeLayer {
  version: string
  npmVersion: string
  /** Programs for npm and for scripts. */
  bin: string
  /** Whether it is the platform's own version, whose headers are at hand. */
  isPlatformVersion: boolean
}

/** Provides Node and npm in `layer`: what came back if it fits, else the platform's own, else one fetched from the registry. */
export async function provideNode(layer: Layer, wanted: WantedNode, platform: NodePlatform): Promise<NodeLayer> {
  const npmVersion = versionOf(join(platform.npm, 'package.json'), platform)
  const own = process.versions.node
  const former = layer.metadata()
  const isOwnWanted = satisfies(own, wanted.range)
  const provided = (version: string): NodeLayer => ({
    version,
    npmVersion,
    bin: join(layer.path, 'bin'),
    isPlatformVersion: version === own,
  })
  const formerVersion = former['version']
  const isFormerWanted = isOwnWanted
    ? formerVersion === own
    : typeof formerVersion === 'string' && satisfies(formerVersion, wanted.range)
  if (isFormerWanted && former['layout'] === LAYOUT && former['npm'] === npmVersion) {
    layer.describe(TYPES, { version: String(formerVersion), npm: npmVersion, layout: LAYOUT })
    if (!layer.isBilled) layer.bill(billOfNpm(layer))
    return provided(String(formerVersion))
  }

  const startedAt = performance.now()
  const because = wanted.source === null ? 'the present LTS' : `${wanted.range} in ${wanted.source}`
  say.step(`Installing Node.js (${because})`)
  layer.clear()
  mkdirSync(join(layer.path, 'bin'))
  const version = isOwnWanted ? own : await fetchNode(layer, wanted, platform)
  if (isOwnWanted) copyFileSync(join(platform.node, 'bin/node'), join(layer.path, 'bin/node'))
  chmodSync(join(layer.path, 'bin/node'), 0o755)
  await copyNpm(layer, platform)
  layer.launchEnv({
    'NODE_ENV.default': 'production',
    'PATH.append': '/workspace/node_modules/.bin',
    'PATH.delim': ':',
  })
  layer.describe(TYPES, { version, npm: npmVersion, layout: LAYOUT })
  layer.bill(billOfNpm(layer))
  say.detail(`Node.js ${version}, npm ${npmVersion}`, performance.now() - startedAt)
  return provided(version)
}

function versionOf(packageJson: string, { read }: NodePlatform): string {
  const { version } = JSON.parse(read(packageJson) ?? '{}') as { version?: unknown }
  if (typeof version !== 'string') throw new Error(`${packageJson} names no version`)
  return version
}

/** The npm package that holds nothing but Node. */
async function fetchNode(layer: Layer, wanted: WantedNode, platform: NodePlatform): Promise<string> {
  const what = `Node.js ${wanted.range}`
  const fetched = await fetchPackage(`node-linux-${process.arch}`, wanted.range, what, platform)
  if (fetched === null) {
    throw new BuildFailure(
      `there is no ${what}, which ${wanted.source ?? 'the app'} asks for`,
      'ask for 20.x, 22.x, 24.x or 26.x',
    )
  }
  const { work, archive, version } = fetched
  const unpacked = await run('tar', ['-xzf', archive, '-C', work, 'package/bin/node'], { cwd: work, env: platform.env })
  if (unpacked.exitCode !== 0)
    throw new BuildFailure(`the package of Node.js ${version} cannot be unpacked`, 'push again')
  moveFile(join(work, 'package/bin/node'), join(layer.path, 'bin/node'))
  return version
}

const npmFolder = (layer: Layer): string => join(layer.path, 'lib/node_modules/npm')

/** What npm brings along; npm itself is in the layer's metadata. */
function billOfNpm(layer: Layer): string {
  return billOfModules(join(npmFolder(layer), 'node_modules'))
}

async function copyNpm(layer: Layer, platform: NodePlatform): Promise<void> {
  const npm = npmFolder(layer)
  mkdirSync(dirname(npm), { recursive: true })
  const copied = await run('cp', ['-R', platform.npm, npm], { cwd: layer.path, env: platform.env })
  if (copied.exitCode !== 0) throw new Error(`npm could not be copied: ${copied.stderr}`)
  for (const name of ['npm', 'npx']) {
    chmodSync(join(npm, 'bin', `${name}-cli.js`), 0o755)
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(layer.path, 'bin', name))
  }
}
