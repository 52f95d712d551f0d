import { join } from 'node:path'
import { compressLayer, encodeConfig, encodeManifest, generatedLayerTar, RegistryClient } from '@croft/oci'
import type { BuildWishes, DesiredInstance } from '@croft/protocol'
import { call } from './socket-call.js'
import type { PushRig } from './push-rig.js'
import type { BuildScript } from './scripted-builds.js'

/** Builds as an executor does that has made an image of this configuration of a Dockerfile; `onWishes` hears what it was told. */
export async function dockerfileImage(
  rig: PushRig,
  config: object,
  onWishes: (wishes: BuildWishes) => void = () => undefined,
): Promise<(item: DesiredInstance) => Partial<BuildScript>> {
  const layer = await compressLayer(
    await generatedLayerTar([{ kind: 'file', path: '/hello', content: 'x' }]),
    '/nowhere',
  )
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
  const rootfs = { type: 'layers' as const, diff_ids: [layer.diffId] }
  const documents = encodeConfig({ architecture, os: 'linux', config, rootfs })
  const manifest = encodeManifest(documents.descriptor, [layer.descriptor])
  const socketPath = join(rig.folder, 'run/node/node.sock')
  const put = async ({ appId, spec }: DesiredInstance): Promise<void> => {
    const { body } = await call<BuildWishes>(
      socketPath,
      'GET',
      `/v1/builds/${spec.kind === 'build' ? spec.buildId : ''}/wishes`,
    )
    onWishes(body)
    const registry = new RegistryClient({ socketPath, origin: 'http://controller' })
    await registry.putBlob(appId, layer.descriptor, () => layer.open())
    await registry.putBlob(appId, documents.descriptor, () => documents.bytes)
    await registry.putManifest(appId, manifest.descriptor.digest, manifest.bytes)
    await registry.close()
  }
  const made = { outcome: 'succeeded' as const, image: manifest.descriptor.digest, newLayers: 1, newBytes: 1 }
  return (item) => ({ result: { ...made, builder: 'dockerfile', processTypes: {} }, until: put(item) })
}
