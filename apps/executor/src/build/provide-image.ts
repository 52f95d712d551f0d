import type { Clock } from '@croft/kit'
import type { BaseImage } from '../image/base-image.js'
import type { StackImages, Waiting } from '../stack/stack-images.js'
import type { BuildLog } from './build-log.js'

/** Who waits for an image. */
export interface Onlooker {
  log: Pick<BuildLog, 'step' | 'detail'>
  clock: Clock
  signal: AbortSignal
}

/** Provides an image that is made first when this host does not have it: `step` says so then, and `done` what came of it. */
export async function provideImage<T>(
  step: string,
  provide: (waiting: Waiting) => Promise<T>,
  { log, clock, signal }: Onlooker,
  done: (image: T) => string | undefined = () => undefined,
): Promise<T> {
  const startedAt = clock.monotonic()
  let isMade = false
  const onMaking = (): void => {
    isMade = true
    log.step(step)
  }
  const image = await provide({ signal, onMaking })
  if (isMade) log.detail(done(image) ?? 'done', clock.monotonic() - startedAt)
  return image
}

/** The run image of a stack. @throws StackFailed */
export function provideStack(stack: string, stacks: Pick<StackImages, 'base'>, onlooker: Onlooker): Promise<BaseImage> {
  return provideImage(
    `Making the stack ${stack}: once on this host`,
    (waiting) => stacks.base(stack, waiting),
    onlooker,
    ({ labels }) => labels['io.buildpacks.base.description'],
  )
}
