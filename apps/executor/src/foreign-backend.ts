import { readFile } from 'node:fs/promises'
import type { Backend, Container, ContainerSpec, ImageResolver, NetOutRule } from '@croft/garden-api'
import { createGardenClient } from '@croft/garden-api/http'

/** What the platform knows and a backend of its own would be told. */
export interface Known {
  images: ImageResolver
  /** Hosts in private ranges that every container may reach. */
  egress: readonly { host: string; port: number }[]
}

/**
 * A container API on the other side of a socket, for an executor that has no backend of its own. Image names of the platform mean
 * nothing there: the executor, which keeps the images, sends the directories they are made of.
 */
export async function openGarden(
  garden: { address: string; tokenFile: string | null },
  known: Known,
): Promise<Backend> {
  const token = garden.tokenFile === null ? undefined : (await readFile(garden.tokenFile, 'utf8')).trim()
  return withKnown(createGardenClient({ address: garden.address, ...(token !== undefined && { token }) }), known)
}

/** The backend with every image resolved here, and every container let through to the platform's egress; all else is its own. */
export function withKnown(backend: Backend, { images, egress }: Known): Backend {
  const letThrough = egress.map(({ host, port }): NetOutRule => ({
    protocol: 'tcp',
    networks: [{ start: host }],
    ports: [{ start: port }],
  }))
  const resolved = async (spec: ContainerSpec): Promise<ContainerSpec> => {
    if ((spec.image?.uri ?? '') === '') return spec
    const { lowerPaths, env } = await images.resolve(spec.image?.uri ?? '')
    return { ...spec, image: { uri: uriOf(lowerPaths) }, env: [...env, ...(spec.env ?? [])] }
  }
  const create = async (spec: ContainerSpec, signal?: AbortSignal): Promise<Container> => {
    const container = await backend.create(await resolved(spec), signal)
    if (letThrough.length === 0) return container
    try {
      // said at its creation it would be let through to nothing else
      await container.netOut(letThrough)
    } catch (error) {
      await backend.destroy(container.handle, { ifExists: true })
      throw error
    }
    return container
  }
  const own: Pick<Backend, 'create' | 'check'> = {
    create,
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
