import { defineMachine, type StateOf } from '@croft/kit'

/**
 * A push, written by the push module only.
 * - `received`: the objects passed the limits and the row exists; nothing was built.
 * - `accepted`: the app's push lock is held and the old value is still the ref; build and deployment run.
 * - `deployed`: the deployment succeeded; the ref has not moved yet. After a restart the ref is moved from here.
 * - `committed`: the ref moved and the repository was synced to disk.
 * - `refused`: the reason says why; the ref never moved.
 * - `canceled`: the client left, or a newer push took its place.
 */
export const pushMachine = defineMachine('push', {
  received: { accept: 'accepted', refuse: 'refused', cancel: 'canceled' },
  accepted: { deploy: 'deployed', refuse: 'refused', cancel: 'canceled' },
  deployed: { commit: 'committed', refuse: 'refused' },
  committed: {},
  refused: {},
  canceled: {},
} as const)

export type PushState = StateOf<typeof pushMachine.table>
