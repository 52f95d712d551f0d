import { defineMachine, type StateOf } from '@croft/kit'

/**
 * A deployment, written by the deployer only.
 * - `pending`: the release row exists; no instance of it does.
 * - `releasing`: its release command runs.
 * - `rolling`: instances of the new release start; each one that is ready and routed everywhere lets an old one drain.
 * - `succeeded`: every wanted instance of the new release is ready and routed; the old ones drain by themselves.
 * - `reverting`: it failed; its instances drain, and the former release's are made whole again.
 * - `failed`: nothing of it runs any more; the former release serves.
 * - `canceled`: somebody stopped it before it rolled to the end.
 */
export const deploymentMachine = defineMachine('deployment', {
  pending: { release: 'releasing', roll: 'rolling', cancel: 'canceled', fail: 'failed' },
  releasing: { roll: 'rolling', revert: 'reverting', cancel: 'canceled' },
  rolling: { succeed: 'succeeded', revert: 'reverting', cancel: 'canceled' },
  reverting: { fail: 'failed', cancel: 'canceled' },
  succeeded: {},
  failed: {},
  canceled: {},
} as const)

export type DeploymentState = StateOf<typeof deploymentMachine.table>
