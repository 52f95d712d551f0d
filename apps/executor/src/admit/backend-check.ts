import { CroftError } from '@croft/kit'
import type { Logger } from '@croft/kit'
import type { Backend } from '@croft/garden-api'
import { OWNER_PROPERTY } from '../instance/ports.js'

/** Whom the probe's address belongs to. */
export const PROBE_ID = 'admission-probe'
/** Not an instance's owner: a pass of the converge loop leaves the probe alone. */
const PROBE_OWNER = 'executor-admission'
const PROBE_TIMEOUT_MS = 30_000

/** The backend cannot run a container: this node must not be given any. */
export class BackendUnfitError extends CroftError {
  constructor(detail: string, cause?: unknown) {
    super({
      code: 'backend-unfit',
      status: 503,
      title: 'this node cannot run containers',
      detail,
      suggestion: './croft doctor names what is missing',
      cause,
    })
  }
}

/** Makes a container from an image, runs a command in it and removes both. @throws BackendUnfitError */
export async function checkBackend(
  backend: Backend,
  probe: { image: string; network: string },
  logger: Logger,
): Promise<void> {
  try {
    await backend.destroy(PROBE_ID, { ifExists: true }) // one that a killed executor left
    const container = await backend.create({
      handle: PROBE_ID,
      image: { uri: probe.image },
      network: probe.network,
      properties: { [OWNER_PROPERTY]: PROBE_OWNER },
    })
    const process = await container.run({ path: '/bin/true', user: 'root', dir: '/' })
    const exit = await process.wait(AbortSignal.timeout(PROBE_TIMEOUT_MS))
    if (exit.exitCode !== 0) throw new BackendUnfitError(`/bin/true ended with ${exit.exitCode} in a probe container`)
    await backend.destroy(PROBE_ID)
    logger.info('backend-admitted')
  } catch (error) {
    await backend.destroy(PROBE_ID, { ifExists: true }).catch(() => undefined) // the next probe begins with it
    if (error instanceof BackendUnfitError) throw error
    throw new BackendUnfitError(error instanceof Error ? error.message : String(error), error)
  }
}
