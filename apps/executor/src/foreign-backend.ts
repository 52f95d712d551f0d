import { readFile } from 'node:fs/promises'
import type { Backend, Container, ContainerSpec, ImageResolver, NetOutRule } from '@croft/garden-api'
import { createGardenClient } from '@croft/garden-api/http'
import { OWNER_PROPERTY, ownerAmongOthers } from '@croft/protocol'
import type { GardenConfig } from './config.js'

/** What the platform knows and a backend of its own would be told. */
export interface Known {
  images: ImageResolver
  /** Hosts in private ranges that some containers may reach. */
  egress: readonly { host: string; port: number }[]
  /** Which containers that is for; absent: for all. */
  hasEgress?: (spec: ContainerSpec) => boolean
  /** Tells this platform's containers from those of others that use the same API. */
  homeId: string
}

/**
 * A container API on the other side of a socket, for an executor that has no backend of its own. Image names of the platform mean
 * nothing there: the executor, which keeps the images, sends the directories they are made of.
 */
export async function openGarden(garden: Pick<GardenConfig, 'address' | 'tokenFile'>, known: Known): Promise<Backend> {
  const token = garden.tokenFile === null ? undefined : (await readFile(garden.tokenFile, 'utf8')).trim()
  return withKnown(createGardenClient({ address: garden.address, ...(token !== undefined && { token }) }), known)
}

/**
 * The backend with every image resolved here, containers let through to the platform's egress, and owners told apart by platform;
 * all else is its own.
 */
export function withKnown(backend: Backend, { images, egress, hasEgress, homeId }: Known): Backend {
  const letThrough = egress.map(({ host, port }): NetOutRule => ({
    protocol: 'tcp',
    networks: [{ start: host }],
    ports: [{ start: port }],
  }))
  const owned = (properties: Record<string, string>): Record<string, string> => {
    const owner = properties[OWNER_PROPERTY]
    return owner === undefined ? properties : { ...properties, [OWNER_PROPERTY]: ownerAmongOthers(owner, homeId) }
  }
  const resolved = async (given: ContainerSpec): Promise<ContainerSpec> => {
    const spec = given.properties === undefined ? given : { ...given, properties: owned(given.properties) }
    if ((spec.image?.uri ?? '') === '') return spec
    const { lowerPaths, env } = await images.resolve(spec.image?.uri ?? '')
    return { ...spec, image: { uri: uriOf(lowerPaths) }, env: [...env, ...(spec.env ?? [])] }
  }
  const create = async (spec: ContainerSpec, signal?: AbortSignal): Promise<Container> => {
    const container = await backend.create(await resolved(spec), signal)
    if (letThrough.length === 0 || hasEgress?.(spec) === false) return container
    try {
      // said at its creation it would be let through to nothing else
      await container.netOut(letThrough)
    } catch (error) {
      await backend.destroy(container.handle, { ifExists: true })
      throw error
    }
    return container
  }
  const own: Pick<Backend, 'create' | 'check' | 'containers'> = {
    create,
    containers: async (properties = {}) => await backend.containers(owned(properties)),
    check: async (spec) => await backend.check(await resolved(spec)),
  }
  return new Proxy(backend, {
    get: (target, name: keyof Backend) => {
      if (name === 'create' || name === 'check' || name === 'containers') return own[name]
      const theirs: unknown = target[name]
      return typeof theirs === 'function' ? theirs.bind(target) : theirs
    },
  })
}

/** Directories as an image: one as any Garden knows it, several as ours does, uppermost first. Pure. */
export function uriOf(lowerPaths: readonly string[]): string {
  return lowerPaths.length === 1 ? `raw://${lowerPaths[0]}` : `layers://${lowerPaths.join(':')}`
}
