import type { Readable } from 'node:stream'
import type { Backend } from '@croft/garden-api'
import type { Clock, Digest, Logger } from '@croft/kit'
import type { RegistryClient } from '@croft/oci'
import type { BuildWishes } from '@croft/protocol'
import type { GitSource } from '../buildpack/git-source.js'
import type { BaseImages } from '../image/base-image.js'
import type { Images } from '../image/images.js'
import type { LayerStore } from '../image/layers.js'
import type { SharedLayers } from '../image/shared-layers.js'
import type { BuiltImage } from '../instance/likely-next.js'
import type { PackageLists } from '../stack/package-lists.js'
import type { StackImages } from '../stack/stack-images.js'
import type { BuildSpare } from './make-spare.js'

/** What a build asks of the controller, on the node socket. */
export interface BuildController {
  /** `GET /v1/builds/<id>/source`: the pushed tree as an uncompressed tar. */
  source(buildId: string, signal: AbortSignal): Promise<Readable>
  /** `GET /v1/builds/<id>/wishes`: what the app wants of its build. */
  wishes(buildId: string, signal: AbortSignal): Promise<BuildWishes>
  /** `POST /v1/builds/<id>/images`: has an image brought into the app's repository, and gives the digest of its manifest. */
  image(
    buildId: string,
    reference: string,
    signal: AbortSignal,
  ): Promise<{ image: Digest } | { refusal: { title: string; suggestion: string } }>
  /** `POST /v1/builds/<id>/log`: appends text; calls for one build never overlap. */
  log(buildId: string, text: string, signal: AbortSignal): Promise<void>
}

export interface BuildPaths {
  /** `<node home>/builds`, on the file system of the layer store. */
  builds: string
  /** `<node home>/caches`, on the same file system. */
  caches: string
  /** On a tmpfs, root only: `/run/croft/<k>/builds`. Build-time variables lie here while a build runs. */
  secrets: string
  /** `CROFT_BUILDPACKS`: a folder for each buildpack, and `order.toml`. */
  buildpacks: string
  /** `<home>/buildpacks`: what operators added. */
  addedBuildpacks: string
  /** `CROFT_PLATFORM_NODE`: a folder with `bin/node` and `include/`. */
  platformNode: string
  /** `CROFT_PLATFORM_NPM`: npm's package. */
  platformNpm: string
  /** `CROFT_BUILD_NPMRC`: registries as the host reaches them; null when it has none. */
  npmrc: string | null
  /** `CROFT_BUILD_CA`: the certificates builds trust; null: the base image's own. */
  ca: string | null
  /** `CROFT_BUILD_PROXY_ENV`. */
  proxyEnvironment: Record<string, string>
}

export interface BuildPorts {
  backend: Backend
  layers: LayerStore
  images: Images
  bases: BaseImages
  stacks: StackImages
  packageLists: PackageLists
  gitSource: GitSource
  registry: RegistryClient
  controller: BuildController
  clock: Clock
  logger: Logger
  paths: BuildPaths
  /** Layers that homes of the host make alike; absent: every build makes its own. */
  shared?: SharedLayers
  /** A container made in advance; absent: every build makes its own. */
  spare?: BuildSpare
}

/** Which instance a build is, for names and sweeps. */
export interface BuildContext {
  instanceId: string
  appId: string
  appName: string
  /** The container's handle, `<instance id>-<n>`. */
  handle: string
  /** The container's address; the backend chooses when absent. */
  address?: string
  /** Properties the container carries, by which the executor knows its own. */
  properties?: Record<string, string>
  /** Told of the image as soon as an instance here could run it, and again when the build has succeeded. */
  onImage?: (built: Omit<BuiltImage, 'appId'>) => void
}
