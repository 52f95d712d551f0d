import type { Digest } from '@croft/kit'
import type { Descriptor, ImageConfig } from '@croft/oci'
import type { BuiltBuildpack } from './build.js'
import { BUILD_LABEL, writeBuildLabel } from './formats/build-label.js'
import type { LaunchProcess } from './formats/launch-toml.js'
import { LIFECYCLE_LABEL, type LifecycleLabel } from './formats/lifecycle-label.js'
import { LAUNCHER_PATH, LAUNCHER_VERSION, processArgv } from './launch.js'

/** `created` of every image: the same input gives the same image. */
const CREATED = '1980-01-01T00:00:01Z'
const PLATFORM_API = '0.15'

/** A layer as an image holds it. */
export interface ImageLayer {
  diffId: Digest
  descriptor: Descriptor
}

/** What the run image brings: its layers and what apps inherit from it. */
export interface RunImage {
  layers: ImageLayer[]
  env: Record<string, string>
  /** `uid:gid` apps run as. */
  user: string
  labels: Record<string, string>
  reference: string
  /** What it is called where it is published, `stack:debian-12`. */
  name: string
  architecture: string
}

export interface ExportInput {
  runImage: RunImage
  buildpacks: readonly BuiltBuildpack[]
  processes: readonly LaunchProcess[]
  labels: Record<string, string>
  /** Launch layers by buildpack id and layer name; every launch layer of `buildpacks` is here. */
  launchLayers: ReadonlyMap<string, ReadonlyMap<string, ImageLayer>>
  /** Bills of materials of buildpacks, when there are any. */
  sbom: ImageLayer | null
  /** The slices and the rest of the app, in this order. */
  app: readonly ImageLayer[]
  launcher: ImageLayer
  config: ImageLayer
  processTypes: ImageLayer
  layersDirectory: string
  appDirectory: string
  /** What the image is built for, `production`. */
  execEnv: string
  /** What is known of the source, for `io.buildpacks.project.metadata`. */
  project: Record<string, unknown> | null
}

export interface AssembledImage {
  config: ImageConfig
  layers: ImageLayer[]
}

/** Puts an image together: run image, launch layers, bills of materials, app, launcher, config, process types, and the labels. Pure. */
export function assembleImage(input: ExportInput): AssembledImage {
  const launch = input.buildpacks.flatMap(({ id, layers }) =>
    layers
      .filter(({ types }) => types.launch)
      .map(({ name }) => {
        const layer = input.launchLayers.get(id)?.get(name)
        if (layer === undefined) throw new Error(`launch layer ${id}:${name} was not exported`)
        return layer
      }),
  )
  const layers = [
    ...input.runImage.layers,
    ...launch,
    ...(input.sbom === null ? [] : [input.sbom]),
    ...input.app,
    input.launcher,
    input.config,
    input.processTypes,
  ]
  const env = {
    ...input.runImage.env,
    CNB_LAYERS_DIR: input.layersDirectory,
    CNB_APP_DIR: input.appDirectory,
    CNB_PLATFORM_API: PLATFORM_API,
    CNB_DEPRECATION_MODE: 'quiet',
    PATH: `/cnb/process:/cnb/lifecycle:${input.runImage.env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}`,
  }
  return {
    layers,
    config: {
      created: CREATED,
      architecture: input.runImage.architecture,
      os: 'linux',
      config: {
        User: input.runImage.user,
        Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        Entrypoint: entrypoint(input.processes),
        WorkingDir: input.appDirectory,
        Labels: labelsOf(input),
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(() => ({ created: CREATED })),
    },
  }
}

function entrypoint(processes: readonly LaunchProcess[]): string[] {
  const chosen = processes.find(({ isDefault }) => isDefault) ?? processes.find(({ type }) => type === 'web')
  return chosen === undefined ? [LAUNCHER_PATH] : processArgv(chosen.type)
}

function labelsOf(input: ExportInput): Record<string, string> {
  const top = input.runImage.layers.at(-1)
  const label: LifecycleLabel = {
    app: input.app.map(({ diffId }) => ({ sha: diffId })),
    ...(input.sbom !== null && { sbom: { sha: input.sbom.diffId } }),
    config: { sha: input.config.diffId },
    launcher: { sha: input.launcher.diffId },
    'process-types': { sha: input.processTypes.diffId },
    buildpacks: input.buildpacks.map(({ id, version, layers, store }) => ({
      key: id,
      version,
      layers: Object.fromEntries(
        layers
          .filter(({ types }) => types.launch)
          .map(({ name, types, metadata }) => [
            name,
            {
              sha: input.launchLayers.get(id)?.get(name)?.diffId,
              ...(metadata !== undefined && { data: metadata }),
              ...types,
            },
          ]),
      ),
      ...(store !== undefined && { store: { metadata: store } }),
    })),
    ...(top !== undefined && {
      runImage: { topLayer: top.diffId, reference: input.runImage.reference, image: input.runImage.name },
    }),
    stack: { runImage: { image: input.runImage.name } },
  }
  return {
    ...input.runImage.labels,
    ...input.labels,
    [LIFECYCLE_LABEL]: JSON.stringify(label),
    [BUILD_LABEL]: writeBuildLabel({ ...input, launcherVersion: LAUNCHER_VERSION }),
    'io.buildpacks.rebasable': 'true',
    ...(input.execEnv !== '' && { 'io.buildpacks.exec-env': input.execEnv }),
    ...(input.project !== null && { 'io.buildpacks.project.metadata': JSON.stringify(input.project) }),
  }
}
