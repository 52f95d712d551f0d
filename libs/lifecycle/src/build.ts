import type { Buildpack } from './buildpack.js'
import { withBuildRoots, withEnvFiles, type Env } from './env.js'
import { LifecycleError } from './errors.js'
import { parseBuildToml } from './formats/build-toml.js'
import { escapeId } from './formats/buildpack-toml.js'
import { writeBuildpackPlan } from './formats/buildpack-plan-toml.js'
import { parseLaunchToml, type LaunchProcess, type LaunchToml, type Slice } from './formats/launch-toml.js'
import { isKept, isLayerName, parseLayerToml, type LayerTypes } from './formats/layer-toml.js'
import { parseStoreToml, type Store } from './formats/store-toml.js'
import { lineInToml } from './formats/toml.js'
import { buildpackEnv } from './interface-env.js'
import { mergeLabels, mergeProcesses } from './processes.js'
import { requiresFor, type PlanEntry } from './resolve-plan.js'
import { placeSboms, type Sbom, type SbomCopy } from './sbom.js'

/** The small files a `bin/build` left in its layers folder; absent ones are undefined. */
export interface BuildpackOutput {
  launch?: string
  build?: string
  store?: string
  /** Layer name to the text of its `<layer>.toml`. */
  layers: Map<string, string>
  sboms: Sbom[]
}

/** What a `build` layer adds to the environment of the buildpacks after it. */
export interface LayerEnv {
  /** Which of `bin`, `lib`, `include`, `pkgconfig` it has. */
  folders: Set<string>
  env: Map<string, string>
  envBuild: Map<string, string>
}

/** Where builds run and what they leave is read: the build container. */
export interface BuildPort {
  /** Runs `bin/build` to its end. @throws LifecycleError when it fails */
  runBuild(buildpack: Buildpack, env: Env, plan: string): Promise<void>
  readOutput(buildpack: Buildpack): Promise<BuildpackOutput>
  readLayerEnv(buildpack: Buildpack, layer: string): Promise<LayerEnv>
  /** Renames the folder of a layer of no type, when there is one, to `<layer>.ignore`. */
  putAside(buildpack: Buildpack, layer: string): Promise<void>
  /** Tells whoever pushed. */
  warn(text: string): void
}

export interface BuildInput {
  group: readonly Buildpack[]
  entries: readonly PlanEntry[]
  /** The environment every buildpack starts from. */
  base: Env
  /** Build-time variables of the app; not for buildpacks with `clear-env`. */
  user: Env
  /** The platform's own, put under everything else that sets them. */
  operator: Env
  /** `/layers` as the container sees it. */
  layersDirectory: string
}

export interface BuiltLayer {
  name: string
  types: LayerTypes
  metadata: Record<string, unknown> | undefined
}

export interface BuiltBuildpack {
  id: string
  version: string
  api: string
  homepage?: string
  layers: BuiltLayer[]
  store: Store | undefined
}

export interface Built {
  buildpacks: BuiltBuildpack[]
  processes: LaunchProcess[]
  labels: Record<string, string>
  /** Of all buildpacks, in build order. */
  slices: Slice[]
  sboms: SbomCopy[]
}

/** Runs the buildpacks of a group in order, each in the environment the ones before it made. @throws LifecycleError */
export async function build(input: BuildInput, port: BuildPort): Promise<Built> {
  let shared: Env = input.base
  const met = new Set<string>()
  const buildpacks: BuiltBuildpack[] = []
  const launches: LaunchToml[] = []
  const sboms: SbomCopy[] = []
  for (const buildpack of input.group) {
    const plan = requiresFor(input.entries, buildpack.id, met)
    await port.runBuild(
      buildpack,
      buildpackEnv(shared, buildpack, input.user, input.operator),
      writeBuildpackPlan(plan),
    )
    const output = await port.readOutput(buildpack)
    const found = layersOf(buildpack, output)
    const layers = found.filter(({ types }) => isKept(types))
    for (const { name, types } of found) if (!isKept(types)) await port.putAside(buildpack, name)
    for (const layer of layers) {
      if (!layer.types.build) continue
      const { folders, env: files, envBuild } = await port.readLayerEnv(buildpack, layer.name)
      const directory = `${input.layersDirectory}/${escapeId(buildpack.id)}/${layer.name}`
      shared = withEnvFiles(withEnvFiles(withBuildRoots(shared, directory, folders), files), envBuild)
    }
    for (const name of metNames(buildpack, output, new Set(plan.map((require) => require.name)))) met.add(name)
    sboms.push(...placeSboms(buildpack, output.sboms, new Map(found.map(({ name, types }) => [name, types]))))
    if (output.launch !== undefined) launches.push(launchOf(buildpack, output.launch, port))
    buildpacks.push(builtOf(buildpack, layers, output))
  }
  return {
    buildpacks,
    processes: mergeProcesses(launches.map(({ processes }) => processes)),
    labels: mergeLabels(launches.map(({ labels }) => labels)),
    slices: launches.flatMap(({ slices }) => slices),
    sboms,
  }
}

function builtOf(buildpack: Buildpack, layers: BuiltLayer[], output: BuildpackOutput): BuiltBuildpack {
  const { id, version, api, toml } = buildpack
  const { homepage } = toml.buildpack
  const store = output.store === undefined ? undefined : parseStoreToml(output.store, `store.toml of ${id}`)
  return { id, version, api, ...(homepage !== undefined && { homepage }), layers, store }
}

function launchOf(buildpack: Buildpack, text: string, port: BuildPort): LaunchToml {
  const launch = parseLaunchToml(text, buildpack)
  for (const warning of launch.warnings) port.warn(warning)
  return launch
}

function metNames(buildpack: Buildpack, output: BuildpackOutput, planned: ReadonlySet<string>): string[] {
  const text = output.build ?? ''
  const what = `build.toml of ${buildpack.id}`
  const unmet = parseBuildToml(text, what)
  const stranger = unmet.find((name) => !planned.has(name))
  if (stranger !== undefined) {
    const line = lineInToml(text, ['unmet', unmet.indexOf(stranger), 'name']) ?? 1
    const title = `${what}, line ${line}: says that "${stranger}" is unmet, which is not in its plan`
    throw new LifecycleError('build', title, 'fix the buildpack that wrote it')
  }
  return [...planned].filter((name) => !unmet.includes(name))
}

/** Every layer the buildpack described, in name order. */
function layersOf(buildpack: Buildpack, output: BuildpackOutput): BuiltLayer[] {
  return [...output.layers]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => {
      if (!isLayerName(name)) {
        const title = `${buildpack.id} made a layer "${name}", a name it may not have`
        throw new LifecycleError('build', title, 'fix the buildpack')
      }
      const { types, metadata } = parseLayerToml(text, `${name}.toml of ${buildpack.id}`)
      return { name, types, metadata }
    })
}
