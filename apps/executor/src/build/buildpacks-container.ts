import { join } from 'node:path'
import type { BuildSpec } from '@croft/protocol'
import { ADDED } from '../buildpack/added-buildpacks.js'
import { FOREIGN } from '../buildpack/wished-buildpacks.js'
import type { BuildFolders } from './build-folders.js'
import {
  containerShape,
  EXCHANGE,
  mapped,
  PLATFORM,
  readOnly,
  WORKSPACE,
  type BuildContainerSpec,
} from './container-shape.js'
import type { BuildContext, BuildPaths } from './ports.js'
import type { ProvidedReach } from './provide-reach.js'

/** What the container sees in which buildpacks build. */
export const LAYERS = '/layers'
export const BUILDPACKS = '/cnb/buildpacks'
const NODE = '/cnb/croft/node'
const NPM = '/cnb/croft/npm'
const APT = '/cnb/croft/apt'
const RUN_IMAGE = '/cnb/croft/run-image'

/** The container of a build: the run image or the build image, the build user, its limits, and mounts of nothing but the platform's folders. */
export function buildpacksContainerSpec(input: {
  spec: BuildSpec
  context: BuildContext
  paths: BuildPaths
  folders: BuildFolders
  /** `stack:<name>@<diffID>`, `build:<name>@<diffID>`, `croft:<digest>`. */
  image: string
  /**
   * For Croft's own buildpacks, on a stack: the tree of the run image, which an app will stand on, and where the package lists of the
   * stack appear when a build asks for them. Null: the image has buildpacks of its own.
   */
  ofStack: { runImage: string; packageLists: string } | null
  /** Trees whose `layers/` folders are shown below `/layers`. */
  trees: readonly string[]
  /** apt's configuration for buildpacks that call it themselves; null: they find none. */
  aptConfiguration: string | null
  /** Whether buildpacks come from elsewhere than the platform. */
  hasForeign: boolean
  /** Whether operators added some. */
  hasAdded: boolean
  /** How its programs reach package registries. */
  reach: ProvidedReach
}): BuildContainerSpec {
  const { spec, context, paths, folders, trees, reach, aptConfiguration, ofStack } = input
  const layers = mapped(folders.layers, LAYERS)
  const apt =
    aptConfiguration === null
      ? []
      : [
          readOnly(join(aptConfiguration, 'sources.list.d'), '/etc/apt/sources.list.d'),
          readOnly(join(aptConfiguration, 'apt.conf'), '/etc/apt/apt.conf'),
        ]
  const own =
    ofStack === null
      ? []
      : [
          readOnly(paths.buildpacks, BUILDPACKS),
          readOnly(paths.platformNode, NODE),
          readOnly(paths.platformNpm, NPM),
          readOnly(ofStack.packageLists, APT),
          readOnly(ofStack.runImage, RUN_IMAGE),
        ]
  const bindMounts = [
    ...own,
    ...apt,
    readOnly(folders.platform, PLATFORM),
    ...reach.mounts,
    mapped(folders.exchange, EXCHANGE),
    ...(input.hasAdded ? [readOnly(paths.addedBuildpacks, ADDED)] : []),
    ...(input.hasForeign ? [mapped(folders.foreign, FOREIGN)] : []),
    mapped(folders.workspace, WORKSPACE),
    trees.length === 0
      ? layers
      : { ...layers, lowerPaths: trees.map((tree) => join(tree, 'layers')), workPath: folders.layersWork },
  ]
  return containerShape({ spec, context, image: input.image, bindMounts })
}
