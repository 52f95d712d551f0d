import { assertNever } from '@croft/kit'
import type { DesiredInstance } from '@croft/protocol'

/** What a pass does; each step runs in the serial queue of its instance. */
export type Step =
  | { kind: 'start'; item: DesiredInstance }
  | { kind: 'update'; item: DesiredInstance }
  | { kind: 'stop'; id: string; why: 'asked' | 'not-desired' }
  | { kind: 'free-address'; id: string }
  | { kind: 'destroy-container'; handle: string; instanceId: string | null; why: 'unknown' }

export interface Known {
  id: string
  intent: 'run' | 'drain' | 'stop'
  isStopping: boolean
}

export interface PlanInput {
  /** A complete desired set. */
  desired: readonly DesiredInstance[]
  /** Instances this executor has. */
  known: readonly Known[]
  /** Containers that bear our mark, with the instance they were made for. */
  containers: readonly { handle: string; instanceId: string | null }[]
  /** Ids that hold an address. */
  addressed: readonly string[]
  /** Ids of no instance whose containers and addresses stay all the same: made in advance. */
  spare: readonly string[]
  /** False for a while after a new epoch or a revision that went backwards: then nothing is stopped or destroyed. */
  mayDestroy: boolean
}

/** The steps from what is to what is wanted. Only ever call it with a complete set. */
export function plan(input: PlanInput): Step[] {
  const desired = new Map(input.desired.map((item) => [item.id, item]))
  const known = new Map(input.known.map((instance) => [instance.id, instance]))
  const spare = new Set(input.spare)
  const steps: Step[] = []
  for (const item of desired.values()) {
    const instance = known.get(item.id)
    switch (item.intent) {
      case 'run':
      case 'drain':
        if (instance === undefined) steps.push({ kind: 'start', item })
        else if (instance.intent !== item.intent && !instance.isStopping) steps.push({ kind: 'update', item })
        break
      case 'stop':
        if (instance !== undefined && !instance.isStopping && input.mayDestroy)
          steps.push({ kind: 'stop', id: item.id, why: 'asked' })
        break
      default:
        assertNever(item.intent)
    }
  }
  if (!input.mayDestroy) return steps
  for (const instance of known.values()) {
    if (!desired.has(instance.id) && !instance.isStopping)
      steps.push({ kind: 'stop', id: instance.id, why: 'not-desired' })
  }
  for (const id of input.addressed) {
    if (!desired.has(id) && !known.has(id) && !spare.has(id)) steps.push({ kind: 'free-address', id })
  }
  for (const { handle, instanceId } of input.containers) {
    const isWanted =
      instanceId !== null &&
      (known.has(instanceId) || spare.has(instanceId) || (desired.get(instanceId)?.intent ?? 'stop') !== 'stop')
    if (!isWanted) steps.push({ kind: 'destroy-container', handle, instanceId, why: 'unknown' })
  }
  return steps
}
