import { parseReference, OciError, type Descriptor, type Dockerfile, type RegistryClient } from '@croft/oci'
import { stackOf } from '@croft/stacks'
import type { Digest } from '@croft/kit'
import type { BuildController } from '../build/ports.js'
import type { BaseImage } from '../image/base-image.js'
import { STACK_LABEL, type Images } from '../image/images.js'
import { DockerfileFailed } from './dockerfile-failed.js'
import { namesOf, stackConfig, type StoreImage } from './image-store.js'

/** What a Dockerfile builds on, made ready on this node. */
export interface BuiltOn {
  images: StoreImage[]
  /** The stacks among them. */
  stacks: BaseImage[]
  /** Whether there are images of elsewhere. */
  hasOthers: boolean
  /** Layers that are in the app's repository, by diffID. */
  known: Map<Digest, Descriptor>
  /** What they are called, by diffID. */
  names: Map<Digest, string>
}

export interface BaseImagePorts {
  images: Pick<Images, 'ensure' | 'documents' | 'mounts' | 'rawConfig'>
  registry: Pick<RegistryClient, 'hasBlob' | 'putBlob'>
  controller: Pick<BuildController, 'image'>
  /** The run image of a stack, made first when this host does not have it. */
  stack(name: string): Promise<BaseImage>
}

/** Croft's own stacks are images of these names: `croft/debian-12`. */
const STACKS = 'croft/'

/**
 * Makes every image ready that a Dockerfile names: a stack is the tree that apps stand on, any other image comes through the
 * platform's own import, with its checks and the team's credentials, so that nothing in the build speaks to a registry.
 * @throws DockerfileFailed naming the line
 */
export async function prepareImages(
  dockerfile: Dockerfile,
  build: { buildId: string; appId: string; architecture: string },
  ports: BaseImagePorts,
  signal: AbortSignal,
): Promise<BuiltOn> {
  const found: BuiltOn = { images: [], stacks: [], hasOthers: false, known: new Map(), names: new Map() }
  for (const { reference, line } of dockerfile.images) {
    const stack = stackNamed(reference, line)
    if (stack === null) await addImage(found, { reference, line }, build, ports, signal)
    else await addStack(found, reference, await ports.stack(stack), build, ports, signal)
  }
  return found
}

/** The stack that a reference names, or null for another image. @throws DockerfileFailed */
function stackNamed(text: string, line: number): string | null {
  try {
    const { host, name, tag, digest } = parseReference(text)
    if (host !== 'docker.io' || !name.startsWith(STACKS)) return null
    const stack = name.slice(STACKS.length)
    if (stackOf(stack) === undefined || tag !== 'latest' || digest !== null) {
      throw new OciError(
        'Croft has no such image',
        'its stacks are croft/debian-11, croft/debian-12 and croft/debian-13',
      )
    }
    return stack
  } catch (error) {
    if (!(error instanceof OciError)) throw error
    throw new DockerfileFailed(
      `Dockerfile line ${line}: ${error.title}`,
      `${error.detail ?? 'correct the name'}`,
      error,
    )
  }
}

async function addStack(
  found: BuiltOn,
  reference: string,
  base: BaseImage,
  { appId, architecture }: { appId: string; architecture: string },
  { registry }: BaseImagePorts,
  signal: AbortSignal,
): Promise<void> {
  if (!(await registry.hasBlob(appId, base.descriptor.digest, signal))) {
    await registry.putBlob(appId, base.descriptor, () => base.openBlob(), signal)
  }
  const labels = { ...base.labels, [STACK_LABEL]: base.stack }
  found.images.push({
    names: namesOf(reference, parseReference(reference)),
    config: stackConfig({ ...base, labels }, architecture),
    layers: [{ diffId: base.diffId, tree: base.treePath }],
  })
  found.stacks.push(base)
  found.known.set(base.diffId, base.descriptor)
  found.names.set(base.diffId, `stack ${base.stack}`)
}

async function addImage(
  found: BuiltOn,
  { reference, line }: { reference: string; line: number },
  { buildId, appId }: { buildId: string; appId: string },
  { controller, images }: BaseImagePorts,
  signal: AbortSignal,
): Promise<void> {
  const answer = await controller.image(buildId, reference, signal)
  if ('refusal' in answer) {
    throw new DockerfileFailed(`Dockerfile line ${line}: ${answer.refusal.title}`, answer.refusal.suggestion)
  }
  await images.ensure(appId, answer.image, signal)
  const { manifest, config } = await images.documents(appId, answer.image, signal)
  const { lowerPaths } = await images.mounts(answer.image)
  const trees = lowerPaths.toReversed()
  found.images.push({
    names: namesOf(reference, parseReference(reference)),
    config: await images.rawConfig(answer.image),
    layers: config.rootfs.diff_ids.map((diffId, index) => ({ diffId, tree: trees[index] ?? '' })),
  })
  found.hasOthers = true
  for (const [index, diffId] of config.rootfs.diff_ids.entries()) {
    found.known.set(diffId, manifest.layers[index] as Descriptor)
    found.names.set(diffId, reference.slice(0, 60))
  }
}
