import type { Buildpack } from './buildpack.js'
import { withBuildRoots, withEnvFiles, withUserEnv, type Env } from './env.js'
import { LifecycleError } from './errors.js'
import { parseBuildToml } from './formats/build-toml.js'
import { escapeId } from './formats/buildpack-toml.js'
import { writeBuildpackPlan } from './formats/buildpack-plan-toml.js'
import { parseLaunchToml, type LaunchProcess } from './formats/launch-toml.js'
import { isLayerName, parseLayerToml, type LayerTypes } from './formats/layer-toml.js'
import { parseStoreToml, type Store } from './formats/store-toml.js'
import { mergeLabels, mergeProcesses } from './processes.js'
import { requiresFor, type PlanEntry } from './resolve-plan.js'

/** The small files a `bin/build` left in its layers folder; absent ones are undefined. */
export interface BuildpackOutput {
  launch?: string
  build?: string
  store?: string
  /** Layer name to the text of its `<layer>.toml`. */
  layers: Map<string, string>
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
  layers: BuiltLayer[]
  store: Store | undefined
}

export interface Built {
  buildpacks: BuiltBuildpack[]
  processes: LaunchProcess[]
  labels: Record<string, string>
}

/** Runs the buildpacks of a group in order, each in the environment the ones before it made. @throws LifecycleError */
export async function build(input: BuildInput, port: BuildPort): Promise<Built> {
  let shared: Env = input.base
  const met = new Set<string>()
  const buildpacks: BuiltBuildpack[] = []
  const launches: { processes: LaunchProcess[]; labels: { key: string; value: string }[] }[] = []
  for (const buildpack of input.group) {
    const plan = requiresFor(input.entries, buildpack.id, met)
    const isClear = buildpack.toml.buildpack['clear-env'] === true
    const withUser = isClear ? shared : withUserEnv(shared, input.user)
    const env = withEnvFiles(withUser, new Map(Object.entries(input.operator)), 'default')
    await port.runBuild(buildpack, env, writeBuildpackPlan(plan))
    const output = await port.readOutput(buildpack)
    for (const name of metNames(buildpack, output, new Set(plan.map((require) => require.name)))) met.add(name)
    if (output.launch !== undefined) launches.push(parseLaunchToml(output.launch, buildpack))
    const layers = layersOf(buildpack, output)
    const store = output.store === undefined ? undefined : parseStoreToml(output.store, `store.toml of ${buildpack.id}`)
    buildpacks.push({ id: buildpack.id, version: buildpack.version, api: buildpack.api, layers, store })
    for (const layer of layers) {
      if (!layer.types.build) continue
      const { folders, env: files, envBuild } = await port.readLayerEnv(buildpack, layer.name)
      const directory = `${input.layersDirectory}/${escapeId(buildpack.id)}/${layer.name}`
      shared = withEnvFiles(withEnvFiles(withBuildRoots(shared, directory, folders), files), envBuild)
    }
  }
  return {
    buildpacks,
    processes: mergeProcesses(launches.map(({ processes }) => processes)),
    labels: mergeLabels(launches.map(({ labels }) => labels)),
  }
}

function metNames(buildpack: Buildpack, output: BuildpackOutput, planned: ReadonlySet<string>): string[] {
  const unmet = output.build === undefined ? [] : parseBuildToml(output.build, `build.toml of ${buildpack.id}`)
  const stranger = unmet.find((name) => !planned.has(name))
  if (stranger !== undefined) {
    const title = `build.toml of ${buildpack.id} says that "${stranger}" is unmet, which is not in its plan`
    throw new LifecycleError('buildpack', title, 'fix the buildpack that wrote it')
  }
  return [...planned].filter((name) => !unmet.includes(name))
}

function layersOf(buildpack: Buildpack, output: BuildpackOutput): BuiltLayer[] {
  return [...output.layers]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => {
      if (!isLayerName(name)) {
        throw new LifecycleError(
          'buildpack',
          `${buildpack.id} made a layer "${name}", a name it may not have`,
          'fix the buildpack',
        )
      }
      const { types, metadata } = parseLayerToml(text, `${name}.toml of ${buildpack.id}`)
      return { name, types, metadata }
    })
    .filter(({ types }) => types.build || types.cache || types.launch)
}
