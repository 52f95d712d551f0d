import type { Digest } from '@croft/kit'
import { LifecycleError } from '@croft/lifecycle'
import type { Image } from '@croft/oci'
import type { BuildPorts } from '../build/ports.js'
import type { RunningBuild } from '../build/running-build.js'
import type { Pins } from '../buildpack/pins.js'

/** An image of some registry that is ready on this node. */
export interface BroughtImage {
  /** As it was asked for. */
  reference: string
  digest: Digest
  image: Image
  /** Of its layers, uppermost first. */
  trees: string[]
}

type Asking = Pick<RunningBuild, 'spec' | 'context' | 'stop'> & { ports: Pick<BuildPorts, 'controller' | 'images'> }

/**
 * Brings an image into the app's repository by the platform's own import, with its checks and the team's credentials, and onto this
 * node. A reference without a digest that is among `pins` stands for what it stood for when it was pinned.
 * @throws LifecycleError with what the registry said
 */
export async function bringImage(
  reference: string,
  { spec, context, ports, stop }: Asking,
  pins: Pins = {},
): Promise<BroughtImage> {
  const { signal } = stop
  const pinned = pins[pinOf(reference)]
  const wanted = pinned === undefined || reference.includes('@') ? reference : `${reference}@${pinned}`
  const answer = await ports.controller.image(spec.buildId, wanted, signal)
  if ('refusal' in answer) {
    const { title, suggestion } = answer.refusal
    throw new LifecycleError('detect', title, suggestion)
  }
  const digest = answer.image
  await ports.images.ensure(context.appId, digest, signal)
  const image = await ports.images.documents(context.appId, digest, signal)
  const { lowerPaths } = await ports.images.mounts(digest)
  return { reference, digest, image, trees: lowerPaths }
}

/** Under which name a file of pins has what a reference stands for. */
export function pinOf(reference: string): string {
  return `image ${reference}`
}
