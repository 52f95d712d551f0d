import type { Readable } from 'node:stream'
import { inheritedEnv, type Env, type ImageLayer, type RunImage, type Target } from '@croft/lifecycle'
import type { Owner } from '@croft/oci'
import type { UsedBuilder } from '@croft/protocol'
import { BUILD_USER } from '../build/build-folders.js'
import type { InstalledBuildpacks } from '../build/installed-buildpacks.js'
import { imageArchitecture } from '../image/architecture.js'
import type { BaseImage } from '../image/base-image.js'
import { STACK_LABEL } from '../image/images.js'

/** What a build with buildpacks stands on: one of Croft's stacks with Croft's buildpacks, or a builder image with its own. */
export interface Ground {
  /** By which it is known again: what was made on another one is bound to that one's libraries. */
  name: string
  /** The stack; null: a builder image brought everything. */
  stack: BaseImage | null
  /** The image of the build container; of a stack the one with compilers where a build needs these. */
  containerImage(hasCompilers: boolean): string
  /** Whom its programs run as, and who owns what buildpacks leave. */
  user: Owner
  env: Env
  target: Target
  installed: InstalledBuildpacks
  runImage: GroundRunImage
  builder: UsedBuilder | null
}

/** What the image of the app will stand on. */
export interface GroundRunImage extends RunImage {
  /** What its layers are called for people. */
  layerName: string
  /** Who owns the app's files in the image: whom the app runs as. */
  owner: Owner
  openBlob(layer: ImageLayer): Readable
}

/** The label of images that a builder image built: its reference and digest. */
export const BUILDER_LABEL = 'io.croft.builder'
/** The label with the name of their ground. */
const GROUND_LABEL = 'io.croft.ground'
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The name of the ground that an image was built on, as its labels tell; undefined for one that does not say. */
export function groundOf(labels: Readonly<Record<string, string>> | null | undefined): string | undefined {
  return labels?.[BUILDER_LABEL] === undefined ? labels?.[STACK_LABEL] : labels[GROUND_LABEL]
}

/** The labels by which `groundOf` knows an image again. */
export function groundLabels(name: string, { reference, digest }: UsedBuilder): Record<string, string> {
  return { [BUILDER_LABEL]: reference.includes('@') ? reference : `${reference}@${digest}`, [GROUND_LABEL]: name }
}

/** One of Croft's stacks. */
export function stackGround(base: BaseImage, installed: InstalledBuildpacks): Ground {
  const { env, user, labels, descriptor } = base
  const [uid = 0, gid = 0] = /^(\d+):(\d+)$/.exec(user)?.slice(1).map(Number) ?? []
  return {
    name: base.stack,
    stack: base,
    containerImage: (hasCompilers) => `${hasCompilers ? 'build' : 'stack'}:${base.stack}@${base.diffId}`,
    user: BUILD_USER,
    env: {
      HOME: '/tmp',
      ...inheritedEnv(env),
      PATH: env['PATH'] ?? DEFAULT_PATH,
      CNB_STACK_ID: `croft.${base.stack}`,
    },
    target: targetOf(labels),
    installed,
    runImage: {
      layers: [{ diffId: base.diffId, descriptor }],
      env,
      user,
      labels: { ...labels, [STACK_LABEL]: base.stack },
      reference: descriptor.digest,
      name: `stack:${base.stack}`,
      architecture: imageArchitecture(),
      layerName: `stack ${base.stack}`,
      owner: { uid, gid },
      openBlob: () => base.openBlob(),
    },
    builder: null,
  }
}

/** What images with these labels are built for. */
export function targetOf(labels: Readonly<Record<string, string>>): Target {
  return {
    os: 'linux',
    arch: imageArchitecture(),
    distroName: labels['io.buildpacks.base.distro.name'] ?? '',
    distroVersion: labels['io.buildpacks.base.distro.version'] ?? '',
  }
}
