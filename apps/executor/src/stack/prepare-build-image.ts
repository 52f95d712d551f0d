import { messageOf, type Clock, type Logger } from '@croft/kit'
import { DEFAULT_STACK } from '@croft/stacks'
import type { StackImages } from './stack-images.js'

/** The host has come to rest after its set-up, and most probably nobody waits for anything. */
const AFTER_MS = 5 * 60_000

/**
 * Makes the build image of the default stack when the platform has been up for a while, with what the machine has left, so that the
 * first build that needs compilers does not wait for it. Rejects when `signal` aborts before.
 */
export async function prepareBuildImage(
  stacks: StackImages,
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  await clock.sleep(AFTER_MS, signal)
  try {
    const onMaking = (): void => logger.info('build-image-begun', { stack: DEFAULT_STACK })
    const waiting = { signal, onMaking, isBackground: true }
    await stacks.compilers(await stacks.base(DEFAULT_STACK, waiting), waiting)
  } catch (error) {
    // The first build that needs it makes it, and tells whoever waits why it cannot.
    if (!signal.aborted) logger.warn('build-image-not-made', { stack: DEFAULT_STACK, why: messageOf(error) })
  }
}
