import { defineMachine, type StateOf } from '@croft/kit'

/**
 * A build, written by the build module only.
 * - `queued`: the row exists; a worker will hear of it, from the queue or from the sweeper.
 * - `running`: an instance of kind `build` exists; the lease is renewed while its node reports it.
 * - `succeeded`: the image is in the registry.
 * - `failed`: `reason` and `message` say why; an expired lease is `interrupted` and queued once more.
 * - `canceled`: the pusher left, or a newer push took its place.
 */
export const buildMachine = defineMachine('build', {
  queued: { start: 'running', cancel: 'canceled', fail: 'failed' },
  running: { succeed: 'succeeded', fail: 'failed', cancel: 'canceled', requeue: 'queued' },
  succeeded: {},
  failed: {},
  canceled: {},
} as const)

export type BuildState = StateOf<typeof buildMachine.table>
export type BuildReason =
  | 'source'
  | 'no-buildpack'
  | 'buildpack'
  | 'export'
  | 'timeout'
  | 'out-of-memory'
  | 'interrupted'
  | 'internal'
