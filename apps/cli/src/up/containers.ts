import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLinuxBackend } from '@croft/backend-linux'
import type { Backend, Container } from '@croft/garden-api'
import { CroftError, silentLogger } from '@croft/kit'
import { INSTANCE_PROPERTY, isOfInstance, OWNER, OWNER_PROPERTY, ownerAmongOthers } from '@croft/protocol'
import { readToken } from '../garden/secrets.js'
import { findLocalPlatform } from '../platform/local-platform.js'
import { runFolder } from '../platform/run-folder.js'
import type { GardenSetting } from './settings.js'

const TIMEOUT_MS = 30_000

/** The container API of another process that a home's platform was last started with; null: its containers are its own. */
export async function gardenOf(home: string): Promise<GardenSetting | null> {
  return (await findLocalPlatform(home))?.state.settings.garden ?? null
}

interface Opened {
  backend: Backend
  /** Those of the home, and no others that may be there. */
  containers: Container[]
}

/** The containers of a home whose executor is stopped; the network rules of those that stay are not touched. */
async function withContainers<T>(home: string, k: number, work: (opened: Opened) => Promise<T>): Promise<T> {
  const garden = await gardenOf(home)
  const backend = garden === null ? await openOwn(home, k) : await openGarden(garden)
  try {
    const filter = garden === null ? {} : { [OWNER_PROPERTY]: ownerAmongOthers(OWNER, await homeIdOf(home)) }
    return await work({ backend, containers: await backend.containers(filter) })
  } finally {
    await backend.close()
  }
}

async function openOwn(home: string, k: number): Promise<Backend> {
  const run = runFolder(k)
  const backend = await createLinuxBackend({
    index: k,
    depotDir: join(home, 'node/containers'),
    runDir: join(run, 'containers'),
    runcRoot: join(run, 'runc'),
    shimPath: '/nonexistent', // nothing is made here
    images: { resolve: () => Promise.reject(new Error('no container is made while a platform is taken down')) },
    logger: silentLogger,
  })
  await backend.recover()
  return backend
}

async function openGarden({ address, tokenFile }: GardenSetting): Promise<Backend> {
  const { createGardenClient } = await import('@croft/garden-api/http')
  const token = tokenFile === null ? undefined : await readToken(tokenFile)
  return createGardenClient({ address, timeoutMs: TIMEOUT_MS, ...(token !== undefined && { token }) })
}

const homeIdOf = async (home: string): Promise<string> => (await readFile(join(home, 'id'), 'utf8')).trim()

/** Asks every process of every container to end (SIGTERM), kills those that do not within 10 s. */
export function stopContainers(home: string, k: number): Promise<void> {
  return withContainers(home, k, async ({ containers }) => {
    // one that cannot be asked is removed like the others right after this
    await Promise.all(containers.map((container) => container.stop().catch(ignoreContainerErrors)))
  })
}

/** Stops and removes all containers a home has in the container API of another process. @throws CroftError, also when it is away */
export function removeContainersElsewhere(home: string, k: number): Promise<void> {
  return withContainers(home, k, async ({ backend, containers }) => {
    await Promise.all(
      containers.map(async (container) => {
        await container.stop().catch(ignoreContainerErrors)
        await backend.destroy(container.handle, { ifExists: true })
      }),
    )
  })
}

/** How many instances of a home have a container in the container API of another process; 0 when that is away. */
export async function countElsewhere(home: string, k: number): Promise<number> {
  if ((await gardenOf(home)) === null) return 0
  try {
    return await withContainers(home, k, async ({ containers }) => {
      const properties = await Promise.all(containers.map((container) => container.properties()))
      return properties.filter(isOfInstance).length
    })
  } catch (error) {
    ignoreContainerErrors(error)
    return 0
  }
}

/** Stops and removes the containers of some instances, and leaves all others running. */
export function removeContainersOf(home: string, k: number, instances: ReadonlySet<string>): Promise<void> {
  return withContainers(home, k, async ({ backend, containers }) => {
    for (const container of containers) {
      const instance = (await container.properties())[INSTANCE_PROPERTY]
      if (instance === undefined || !instances.has(instance)) continue
      await container.stop().catch(ignoreContainerErrors)
      await backend.destroy(container.handle, { ifExists: true })
    }
  })
}

function ignoreContainerErrors(error: unknown): void {
  if (!(error instanceof CroftError)) throw error
}
