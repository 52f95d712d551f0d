import { ContainerPausedError } from '@croft/garden-api'
import type { Host } from '../containerizer/host.js'

/** A frozen container's first process answers nobody, so nobody asks it. @throws ContainerPausedError */
export function refusePaused(host: Host, handle: string): void {
  if (host.cgroups.isPaused(handle)) throw new ContainerPausedError(handle)
}
