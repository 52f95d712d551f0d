import { isDigest, type Digest } from '@croft/kit'
import {
  LIFECYCLE_LABEL,
  LifecycleError,
  missingSonames,
  parseLifecycleLabel,
  rebase,
  type NewRunImage,
  type RebasedImage,
} from '@croft/lifecycle'
import { encodeDocument, encodeManifest, mediaTypes, type Image } from '@croft/oci'
import { bringImage } from '../builder/bring-image.js'
import { BUILDER_LABEL } from '../builder/ground.js'
import { namesInImage } from '../builder/image-files.js'
import { imageArchitecture } from '../image/architecture.js'
import { STACK_LABEL } from '../image/images.js'
import type { BuildPorts } from './ports.js'
import type { RunningBuild } from './running-build.js'

export interface Rebased {
  /** The same as before when it stands on the present base image already. */
  image: Digest
  newLayers: number
  newBytes: number
}

type RebasePorts = Pick<BuildPorts, 'images' | 'bases' | 'registry' | 'controller' | 'layers'>
/** Who asks: a build that only rebases. */
type Asking = Pick<RunningBuild, 'spec' | 'context' | 'stop'> & { ports: RebasePorts }

/** What an image may be put on: the new run image, and its trees, uppermost first. */
interface NewGround {
  run: NewRunImage
  trees: readonly string[]
  /** The trees of the former run image by the digest of its uppermost layer; null when they are not to be had. */
  formerTrees(rebased: RebasedImage): Promise<readonly string[] | null>
  /** Bytes that the registry lacked. */
  upload(): Promise<number>
}

/** Library folders of a base image; the ones for an architecture lie below. */
const LIBRARIES = [['lib'], ['lib64'], ['usr', 'lib'], ['usr', 'lib64'], ['usr', 'local', 'lib']]

/**
 * Puts the present base image of its stack under the image that a build names, without a build, or what the reference of its run image
 * stands for now when a builder image built it: nothing but two documents, and layers that the registry lacks, is written. Refused
 * when the new base lacks a library that the former one had.
 * @throws LifecycleError, ImageError, RegistryError
 */
export async function rebaseImage(asking: Asking): Promise<Rebased> {
  const { spec, context, stop } = asking
  const { images, registry } = asking.ports
  const [{ appId }, { signal }, image] = [context, stop, spec.previousImage ?? '']
  if (!isDigest(image)) throw new TypeError(`not an image digest: ${image}`)
  const former = await images.documents(appId, image, signal)
  const isOfBuilder = former.config.config?.Labels?.[BUILDER_LABEL] !== undefined
  const ground = await (isOfBuilder ? runImageNow(former, asking) : stackNow(former, asking))
  const rebased = rebase({
    config: JSON.parse((await images.rawConfig(image)).toString('utf8')),
    layers: former.manifest.layers,
    run: ground.run,
  })
  if (rebased.formerTop === ground.run.layers.at(-1)?.diffId) return { image, newLayers: 0, newBytes: 0 }
  await refuseMissing(await ground.formerTrees(rebased), ground.trees)
  const newBytes = await ground.upload()
  const own = encodeDocument(mediaTypes.config, rebased.config)
  await registry.putBlob(appId, own.descriptor, () => own.bytes, signal)
  const encoded = encodeManifest(own.descriptor, rebased.layers)
  await registry.putManifest(appId, encoded.descriptor.digest, encoded.bytes, signal)
  return { image: await images.remember(encoded.bytes, own.bytes), newLayers: ground.run.layers.length, newBytes }
}

/** The present base image of the stack that an image stands on. */
async function stackNow({ config }: Image, { context, ports, stop }: Asking): Promise<NewGround> {
  const { bases, registry } = ports
  const stack = config.config?.Labels?.[STACK_LABEL]
  if (stack === undefined) {
    throw new LifecycleError('rebase', 'the image stands on no stack of this platform', 'deploy a newer image instead')
  }
  const base = await bases.current(stack)
  return {
    run: {
      layers: [{ diffId: base.diffId, descriptor: base.descriptor }],
      labels: { ...base.labels, [STACK_LABEL]: base.stack },
      reference: base.descriptor.digest,
      name: `stack:${base.stack}`,
      architecture: imageArchitecture(),
    },
    trees: [base.treePath],
    formerTrees: async ({ formerTop }) => {
      const tree = await bases.treeOf(stack, formerTop)
      return tree === null ? null : [tree]
    },
    upload: async () => {
      const { appId } = context
      if (await registry.hasBlob(appId, base.descriptor.digest, stop.signal)) return 0
      await registry.putBlob(appId, base.descriptor, () => base.openBlob(), stop.signal)
      return base.descriptor.size
    },
  }
}

/** What the reference of its run image stands for now, of an image that a builder image built. */
async function runImageNow(former: Image, asking: Asking): Promise<NewGround> {
  const { context, ports, stop } = asking
  const name = parseLifecycleLabel(former.config.config?.Labels?.[LIFECYCLE_LABEL])?.runImage?.image
  if (name === undefined) {
    throw new LifecycleError('rebase', 'the image does not say which run image it stands on', 'push with -o rebuild')
  }
  const brought = await bringImage(name, asking)
  const { manifest, config } = brought.image
  return {
    run: {
      layers: config.rootfs.diff_ids.flatMap((diffId, index) => {
        const descriptor = manifest.layers[index]
        return descriptor === undefined ? [] : [{ diffId, descriptor }]
      }),
      labels: config.config?.Labels ?? {},
      reference: brought.digest,
      name,
      architecture: config.architecture,
    },
    trees: brought.trees,
    formerTrees: async ({ formerTop }) => {
      const diffIds = former.config.rootfs.diff_ids
      const below = diffIds.slice(0, diffIds.indexOf(formerTop) + 1)
      await ports.images.ensureLayers(context.appId, former, below, stop.signal)
      return ports.images.treesOf(former, below)
    },
    upload: () => Promise.resolve(0), // the import put them there
  }
}

/** @throws LifecycleError when the new base lacks a library, or the former one is not here to compare with */
async function refuseMissing(former: readonly string[] | null, now: readonly string[]): Promise<void> {
  if (former === null) {
    throw new LifecycleError(
      'rebase',
      'the base image the app stands on is not on this host any more, so its libraries cannot be compared',
      'build it anew: push with -o rebuild',
    )
  }
  const missing = missingSonames(await libraryNames(former), await libraryNames(now))
  if (missing.length === 0) return
  throw new LifecycleError(
    'rebase',
    `the new base image lacks ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ` and ${missing.length - 5} more` : ''}`,
    'build the app anew: push with -o rebuild',
  )
}

/** Names in the library folders of an image. */
async function libraryNames(trees: readonly string[]): Promise<string[]> {
  const names: string[] = []
  for (const folder of LIBRARIES) {
    for (const name of await namesInImage(trees, folder)) {
      names.push(name)
      if (name.includes('-linux-')) names.push(...(await namesInImage(trees, [...folder, name])))
    }
  }
  return names
}
