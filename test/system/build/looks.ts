import { existsSync, readdirSync } from 'node:fs'
import { waitFor } from '@croft/kit'
import { expect } from 'vitest'
import type { BuildRig } from '../support/build-rig.js'
import { namesIn } from '../support/memory-registry.js'

export const packageJson = (more: object): string => JSON.stringify({ name: 'app', private: true, ...more })
/** An app without dependencies: no registry is asked. */
export const plain = (scripts: Record<string, string>, files: Record<string, string> = {}): Record<string, string> => ({
  'package.json': packageJson({ scripts: { start: 'node server.js', ...scripts } }),
  'server.js': 'console.log("up")\n',
  ...files,
})

/** What the documents of an image in the registry say. */
export function documentsOf(
  rig: BuildRig,
  image: string,
): {
  layers: string[]
  diffIds: string[]
  labels: Record<string, string>
  user: string
} {
  const manifest = JSON.parse(rig.registry.manifests.get(image)?.toString() ?? '{}') as {
    config: { digest: string }
    layers: { digest: string }[]
  }
  const config = JSON.parse(rig.registry.blobs.get(manifest.config.digest)?.toString() ?? '{}') as {
    config: { Labels: Record<string, string>; User: string }
    rootfs: { diff_ids: string[] }
  }
  return {
    layers: manifest.layers.map(({ digest }) => digest),
    diffIds: config.rootfs.diff_ids,
    labels: config.config.Labels,
    user: config.config.User,
  }
}

/** The names in all layers of an image that are not its base. */
export async function allNames(rig: BuildRig, image: string): Promise<string[]> {
  const names: string[] = []
  for (const digest of documentsOf(rig, image).layers.slice(1)) {
    names.push(...(await namesIn(rig.registry.blobs.get(digest) ?? Buffer.alloc(0))))
  }
  return names
}

/** Nothing of a build is left on the node. */
export async function expectNothingLeft(rig: BuildRig): Promise<void> {
  expect(await rig.backend.containers()).toEqual([])
  const { builds, secrets } = rig.ports.paths
  await waitFor(() => [builds, secrets].every((folder) => !existsSync(folder) || readdirSync(folder).length === 0), {
    what: 'the folders of builds to be removed',
    timeoutMs: 10_000,
  })
}
