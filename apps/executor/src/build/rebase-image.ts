import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, isDigest, type Digest } from '@croft/kit'
import { LifecycleError, missingSonames, rebase } from '@croft/lifecycle'
import { encodeDocument, encodeManifest, mediaTypes } from '@croft/oci'
import { STACK_LABEL } from '../image/images.js'
import type { BuildContext, BuildPorts } from './ports.js'

export interface Rebased {
  /** The same as before when it stands on the present base image already. */
  image: Digest
  newLayers: number
  newBytes: number
}

type RebasePorts = Pick<BuildPorts, 'images' | 'bases' | 'registry'>

const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }
/** Library folders of a base image; the ones for an architecture lie below. */
const LIBRARIES = ['lib', 'lib64', 'usr/lib', 'usr/lib64', 'usr/local/lib']

/**
 * Puts the present base image of its stack under an image, without a build: nothing but two documents, and the base's own layer
 * when the registry lacks it, is written. Refused when the new base lacks a library that the former one had.
 * @throws LifecycleError, ImageError, RegistryError
 */
export async function rebaseImage(
  image: string,
  { appId }: Pick<BuildContext, 'appId'>,
  ports: RebasePorts,
  signal: AbortSignal,
): Promise<Rebased> {
  const { images, bases, registry } = ports
  if (!isDigest(image)) throw new TypeError(`not an image digest: ${image}`)
  const { manifest, config } = await images.documents(appId, image, signal)
  const stack = config.config?.Labels?.[STACK_LABEL]
  if (stack === undefined) {
    throw new LifecycleError('rebase', 'the image stands on no stack of this platform', 'deploy a newer image instead')
  }
  const base = await bases.current(stack)
  const rebased = rebase({
    config: JSON.parse((await images.rawConfig(image)).toString('utf8')),
    layers: manifest.layers,
    run: {
      layers: [{ diffId: base.diffId, descriptor: base.descriptor }],
      labels: { ...base.labels, [STACK_LABEL]: base.stack },
      reference: base.descriptor.digest,
      name: `stack:${base.stack}`,
      architecture: ARCHITECTURES[process.arch] ?? process.arch,
    },
  })
  if (rebased.formerTop === base.diffId) return { image, newLayers: 0, newBytes: 0 }
  await refuseMissing(await bases.treeOf(stack, rebased.formerTop), base.treePath)
  const isNew = !(await registry.hasBlob(appId, base.descriptor.digest, signal))
  if (isNew) await registry.putBlob(appId, base.descriptor, () => base.openBlob(), signal)
  const own = encodeDocument(mediaTypes.config, rebased.config)
  await registry.putBlob(appId, own.descriptor, () => own.bytes, signal)
  const encoded = encodeManifest(own.descriptor, rebased.layers)
  await registry.putManifest(appId, encoded.descriptor.digest, encoded.bytes, signal)
  return {
    image: await images.remember(encoded.bytes, own.bytes),
    newLayers: 1,
    newBytes: isNew ? base.descriptor.size : 0,
  }
}

/** @throws LifecycleError when the new base lacks a library, or the former one is not here to compare with */
async function refuseMissing(former: string | null, now: string): Promise<void> {
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

/** Names in the library folders of a tree. No link of the tree is followed. */
async function libraryNames(tree: string): Promise<string[]> {
  const names: string[] = []
  for (const folder of LIBRARIES) {
    const entries = await readdir(join(tree, folder), { withFileTypes: true }).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
      throw error
    })
    for (const entry of entries) {
      if (!entry.isDirectory()) names.push(entry.name)
      else if (entry.name.includes('-linux-')) names.push(...(await readdir(join(tree, folder, entry.name))))
    }
  }
  return names
}
