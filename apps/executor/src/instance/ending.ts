import { messageOf } from '@croft/kit'
import { ExecutableNotFoundError, ImageError, type ProcessExit } from '@croft/garden-api'
import type { InstanceReason, InstanceStatus, ServiceSpec } from '@croft/protocol'

/** How one run of an instance ended, in words for the person who pushed. Pure. */
export interface Ending {
  reason: InstanceReason
  message: string
  /** Null when it never ran, or nobody knows. */
  exit: ProcessExit | null
}

/** The end of a process that nobody asked to end. */
export function endingOf(exit: ProcessExit, spec: ServiceSpec): Ending {
  if (exit.isOutOfMemory) {
    const limit = Math.round(spec.limits.memoryBytes / 2 ** 20)
    return { reason: 'out-of-memory', message: `it needed more than its ${limit} MiB of memory`, exit }
  }
  const message =
    exit.signal === null ? `it ended with exit code ${exit.exitCode}` : `it was killed by signal ${exit.signal}`
  return { reason: 'crashed', message, exit }
}

/** Why there is no process. */
export function endingBeforeStart(error: unknown): Ending {
  const reason =
    error instanceof ImageError
      ? 'image'
      : error instanceof ExecutableNotFoundError
        ? 'command-not-found'
        : 'create-failed'
  return { reason, message: messageOf(error), exit: null }
}

export function exitStatus(exit: ProcessExit | null): InstanceStatus['exit'] {
  if (exit === null) return null
  return {
    code: exit.exitCode,
    signal: exit.signal,
    isOutOfMemory: exit.isOutOfMemory,
    at: new Date(exit.exitedAtMs).toISOString(),
  }
}
