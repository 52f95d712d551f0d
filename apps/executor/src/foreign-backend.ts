import { readFile } from 'node:fs/promises'
import type { Backend, ContainerSpec, ImageResolver } from '@croft/garden-api'
import { createGardenClient } from '@croft/garden-api/http'

/**
 * A container API on the other side of a socket, for an executor that has no backend of its own. Image names of the platform mean
 * nothing there: the executor, which keeps the images, sends the directories they are made of.
 */
export async function openGarden(
  garden: { address: string; tokenFile: string | null },
  images: ImageResolver,
): Promise<Backend> {
  const token = garden.tokenFile === null ? undefined : (await readFile(garden.tokenFile, 'utf8')).trim()
  return withImages(createGardenClient({ address: garden.address, ...(token !== undefined && { token }) }), images)
}

/** The backend with every image resolved here; all else is the backend's own. */
export function withImages(backend: Backend, images: ImageResolver): Backend {
  const resolved = async (spec: ContainerSpec): Promise<ContainerSpec> => {
    if ((spec.image?.uri ?? '') === '') return spec
    const { lowerPaths, env } = await images.resolve(spec.image?.uri ?? '')
    return { ...spec, image: { uri: uriOf(lowerPaths) }, env: [...env, ...(spec.env ?? [])] }
  }
  const own: Pick<Backend, 'create' | 'check'> = {
    create: async (spec, signal) => await backend.create(await resolved(spec), signal),
    check: async (spec) => await backend.check(await resolved(spec)),
  }
  return new Proxy(backend, {
    get: (target, name: keyof Backend) => {
      if (name === 'create' || name === 'check') return own[name]
      const theirs: unknown = target[name]
      return typeof theirs === 'function' ? theirs.bind(target) : theirs
    },
  })
}

/** Directories as an image: one as any Garden knows it, several as ours does, uppermost first. Pure. */
export function uriOf(lowerPaths: readonly string[]): string {
  return lowerPaths.length === 1 ? `raw://${lowerPaths[0]}` : `layers://${lowerPaths.join(':')}`
}
