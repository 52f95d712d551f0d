import type { Backend, Container } from '@croft/garden-api'
import type { Logger } from '@croft/kit'
import type { BuildContainerSpec } from './container-shape.js'
import type { ProvidedReach } from './provide-reach.js'

interface ContainerPorts {
  backend: Pick<Backend, 'create' | 'destroy'>
  logger: Logger
}

/** Makes the container of a build, let through to mirrors and proxies in private ranges. Where that fails there is none. */
export async function makeContainer(
  spec: BuildContainerSpec,
  { netOut }: Pick<ProvidedReach, 'netOut'>,
  ports: ContainerPorts,
  signal: AbortSignal,
): Promise<Container> {
  const container = await ports.backend.create(spec, signal)
  try {
    // Said afterwards it is let through to these as well; said at its creation it would be to nothing else.
    if (netOut.length > 0) await container.netOut(netOut)
    return container
  } catch (error) {
    await destroyContainer(spec.handle, ports)
    throw error
  }
}

/** Destroys the container of a build, if there is one. Never rejects: the executor destroys what no instance of its owns. */
export async function destroyContainer(
  handle: string,
  { backend, logger }: { backend: Pick<Backend, 'destroy'>; logger: Logger },
): Promise<void> {
  try {
    await backend.destroy(handle, { ifExists: true })
  } catch (error) {
    logger.error('build-container-not-destroyed', { handle, error })
  }
}
