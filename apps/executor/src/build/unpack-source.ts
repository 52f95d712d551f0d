import type { Readable } from 'node:stream'
import type { Container } from '@croft/garden-api'
import { messageOf } from '@croft/kit'
import { WORKSPACE } from './container-shape.js'
import { SourceFailed } from './failures.js'

/** Unpacks the pushed tree into the workspace of a build container as `user`, ids of it. @throws SourceFailed, or why the build ended */
export async function unpackSource(
  container: Pick<Container, 'streamIn'>,
  user: string,
  source: Promise<Readable>,
  signal: AbortSignal,
): Promise<void> {
  try {
    const tar = await source
    const onAbort = (): void => void tar.destroy(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      signal.throwIfAborted()
      // it was opened before there was a container, and may have broken off since
      if (tar.destroyed) throw tar.errored ?? new Error('it ended early')
      await container.streamIn({ user, path: WORKSPACE, tar })
    } finally {
      signal.removeEventListener('abort', onAbort)
      tar.destroy()
    }
  } catch (error) {
    if (signal.aborted) throw error
    throw new SourceFailed(messageOf(error), { cause: error })
  }
}
