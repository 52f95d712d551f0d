import { CroftError, type Logger } from '@croft/kit'
import type { Backend } from '@croft/garden-api'
import { OWNER, OWNER_PROPERTY } from '../instance/ports.js'

const HANDLE = 'admission-probe'
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

/** Makes a container from `image`, runs a command in it and removes both. @throws BackendUnfitError */
export async function checkBackend(backend: Backend, image: string, logger: Logger): Promise<void> {
  await backend.destroy(HANDLE, { ifExists: true })
  try {
    const container = await backend.create({
      handle: HANDLE,
      image: { uri: image },
      properties: { [OWNER_PROPERTY]: OWNER },
    })
    const process = await container.run({ path: '/bin/true', user: 'root' })
    const exit = await process.wait(AbortSignal.timeout(PROBE_TIMEOUT_MS))
    if (exit.exitCode !== 0) throw new BackendUnfitError(`/bin/true ended with ${exit.exitCode} in a probe container`)
    logger.info('backend-admitted')
  } catch (error) {
    if (error instanceof BackendUnfitError) throw error
    throw new BackendUnfitError(error instanceof Error ? error.message : String(error), error)
  } finally {
    await backend.destroy(HANDLE, { ifExists: true })
  }
}
