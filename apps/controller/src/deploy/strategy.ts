import type { InstanceId } from '@croft/kit'
import type { InstanceReason, Observed } from '@croft/protocol'

/**
 * What a rolling deployment does next, as values. Pure.
 *
 * Each slot is replaced by itself: the new instance starts beside the old one, is ready, is in a table that every registered router
 * acknowledged, and only then the old one of that slot drains. The number of instances that traffic can reach never falls below what
 * is wanted because of a step of ours.
 */

/** So many instances of a new release may be starting at the same time. */
export const SURGE_LIMIT = 10
/** Crashes of a new instance before it was ever ready that end the deployment. */
export const MAX_BOOT_CRASHES = 3
/** Added to the app's own boot time-out: placing, fetching and creating need time too. */
const START_ALLOWANCE_MS = 30_000
/** How long a revert waits for the former release to be whole before it ends what is left of the new one. */
const REVERT_LIMIT_MS = 120_000
/** An instance nobody has room for waits this long for room. */
const PLACEMENT_LIMIT_MS = 10_000

export interface Slot {
  type: string
  slot: number
}

/** A live instance of the app with intent `run`. */
export interface InstanceView extends Slot {
  id: InstanceId
  /** `new`: started by this deployment; `former`: of the release that serves; `stray`: left over from something else. */
  side: 'new' | 'former' | 'stray'
  observed: Observed | null
  /** Ready, and (for types with traffic) in a table that every registered router acknowledged. */
  isServing: boolean
  /** Since it was inserted. */
  ageMs: number
  placementError: string | null
  reason: InstanceReason | null
  message: string | null
  crashesBeforeReady: number
  lastLines: readonly string[]
}

export interface Situation {
  state: 'pending' | 'releasing' | 'rolling' | 'reverting'
  /** What the formation asks of the new release. */
  wanted: readonly Slot[]
  /** What it asks of the former one; empty before the first release. */
  formerWanted: readonly Slot[]
  instances: readonly InstanceView[]
  bootTimeoutMs: number
  /** Since the deployment changed its state. */
  stateAgeMs: number
}

/** Why a deployment cannot succeed. */
export interface Failure {
  kind: 'boot-crash' | 'not-ready' | 'not-placed'
  instance: string
  /** What was last known of the instance. */
  reason: InstanceReason | null
  message: string | null
  lastLines: readonly string[]
}

export type Step =
  | { kind: 'roll' }
  | { kind: 'start'; side: 'new' | 'former'; type: string; slot: number }
  | { kind: 'drain'; instance: InstanceId }
  | { kind: 'succeed' }
  | { kind: 'revert'; failure: Failure }
  | { kind: 'fail' }

/** The next steps, to be applied in their order and in one transaction; empty when there is nothing to do but wait. */
export function nextSteps(situation: Situation): Step[] {
  switch (situation.state) {
    case 'pending':
    case 'releasing':
      return [{ kind: 'roll' }, ...startMissing(situation)]
    case 'rolling':
      return roll(situation)
    case 'reverting':
      return revert(situation)
  }
}

function roll(situation: Situation): Step[] {
  const fresh = situation.instances.filter((instance) => instance.side === 'new')
  for (const instance of fresh) {
    const failure = failureOf(instance, situation.bootTimeoutMs)
    if (failure !== null && isWanted(instance, situation.wanted)) return [{ kind: 'revert', failure }]
  }
  const steps = startMissing(situation)
  const unwanted = fresh.filter((instance) => !isWanted(instance, situation.wanted))
  const isDone = situation.wanted.every((slot) =>
    fresh.some((instance) => isSame(instance, slot) && instance.isServing),
  )
  const replaced = situation.instances.filter(
    (instance) =>
      instance.side !== 'new' &&
      (isDone || fresh.some((candidate) => isSame(candidate, instance) && candidate.isServing)),
  )
  steps.push(...[...unwanted, ...replaced].map((instance): Step => ({ kind: 'drain', instance: instance.id })))
  if (isDone) steps.push({ kind: 'succeed' })
  return steps
}

function revert(situation: Situation): Step[] {
  const former = situation.instances.filter((instance) => instance.side === 'former')
  const fresh = situation.instances.filter((instance) => instance.side === 'new')
  const steps: Step[] = situation.formerWanted
    .filter((slot) => !former.some((instance) => isSame(instance, slot)))
    .map((slot) => ({ kind: 'start', side: 'former', ...pick(slot) }))
  const mayGo = (instance: InstanceView): boolean =>
    !instance.isServing ||
    !isWanted(instance, situation.formerWanted) ||
    former.some((candidate) => isSame(candidate, instance) && candidate.isServing) ||
    situation.stateAgeMs > REVERT_LIMIT_MS
  const going = fresh.filter(mayGo)
  steps.push(...going.map((instance): Step => ({ kind: 'drain', instance: instance.id })))
  if (going.length === fresh.length) steps.push({ kind: 'fail' })
  return steps
}

/** Starts what has no new instance yet, not more at a time than the surge limit. */
function startMissing(situation: Situation): Step[] {
  const fresh = situation.instances.filter((instance) => instance.side === 'new')
  const starting = fresh.filter((instance) => !instance.isServing && isWanted(instance, situation.wanted)).length
  return situation.wanted
    .filter((slot) => !fresh.some((instance) => isSame(instance, slot)))
    .slice(0, Math.max(0, SURGE_LIMIT - starting))
    .map((slot) => ({ kind: 'start', side: 'new', ...pick(slot) }))
}

/** Reasons that a further try will not change: one time-out of the boot is enough. */
const FINAL_REASONS: ReadonlySet<InstanceReason> = new Set<InstanceReason>([
  'boot-timeout',
  'port-closed',
  'port-on-loopback',
  'port-wrong',
  'check-failed',
  'command-not-found',
])

function failureOf(instance: InstanceView, bootTimeoutMs: number): Failure | null {
  if (instance.isServing || instance.observed === 'ready') return null
  const { reason, message, lastLines } = instance
  const failure = (kind: Failure['kind']): Failure => ({
    kind,
    instance: `${instance.type}.${instance.slot}`,
    reason,
    message: kind === 'not-placed' ? instance.placementError : message,
    lastLines,
  })
  const isFinal = reason !== null && FINAL_REASONS.has(reason) && instance.crashesBeforeReady >= 1
  if (isFinal || instance.crashesBeforeReady >= MAX_BOOT_CRASHES) return failure('boot-crash')
  if (instance.placementError !== null && instance.ageMs > PLACEMENT_LIMIT_MS) return failure('not-placed')
  if (instance.ageMs > bootTimeoutMs + START_ALLOWANCE_MS) {
    return failure(instance.crashesBeforeReady > 0 ? 'boot-crash' : 'not-ready')
  }
  return null
}

function isWanted(instance: Slot, wanted: readonly Slot[]): boolean {
  return wanted.some((slot) => isSame(slot, instance))
}

function isSame(a: Slot, b: Slot): boolean {
  return a.type === b.type && a.slot === b.slot
}

function pick({ type, slot }: Slot): Slot {
  return { type, slot }
}
