import { defineMachine, type StateOf } from '@croft/kit'

/**
 * What a node observes of one service instance.
 * - `creating`: its container is being made, or its image fetched.
 * - `starting`: the process runs; its check has not passed yet.
 * - `ready`: the check passes; it gets traffic.
 * - `unready`: it was ready and two checks in a row failed; the process still runs.
 * - `exited`: the process has ended; what comes next is about to be decided.
 * - `backoff`: it crashed too often to start again at once; `nextStartAt` says when it does.
 */
export const lifecycleMachine = defineMachine('instance', {
  creating: { started: 'starting', ended: 'exited' },
  starting: { passed: 'ready', ended: 'exited' },
  ready: { failed: 'unready', ended: 'exited' },
  unready: { passed: 'ready', ended: 'exited' },
  exited: { wait: 'backoff', restart: 'creating' },
  backoff: { restart: 'creating' },
} as const)

export type LifecycleState = StateOf<typeof lifecycleMachine.table>
