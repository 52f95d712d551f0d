import { join } from 'node:path'
import { createLinuxBackend, type LinuxBackend } from '@croft/backend-linux'
import { CroftError, silentLogger } from '@croft/kit'
import { runFolder } from '../platform/run-folder.js'

/** The property by which an executor notes whose instance a container is. */
const INSTANCE_PROPERTY = 'croft.instance'

/** The containers of a home whose executor is stopped; the network rules of those that stay are not touched. */
async function withBackend<T>(home: string, k: number, work: (backend: LinuxBackend) => Promise<T>): Promise<T> {
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
  try {
    return await work(backend)
  } finally {
    await backend.close()
  }
}

/** Asks every process of every container to end (SIGTERM), kills those that do not within 10 s. */
export function stopContainers(home: string, k: number): Promise<void> {
  return withBackend(home, k, async (backend) => {
    const containers = await backend.containers()
    // one that cannot be asked is removed like the others right after this
    await Promise.all(containers.map((container) => container.stop().catch(ignoreContainerErrors)))
  })
}

/** Stops and removes the containers of some instances, and leaves all others running. */
export function removeContainersOf(home: string, k: number, instances: ReadonlySet<string>): Promise<void> {
  return withBackend(home, k, async (backend) => {
    for (const container of await backend.containers()) {
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
