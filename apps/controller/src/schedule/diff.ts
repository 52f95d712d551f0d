import type { InstanceId } from '@croft/kit'
import type { WantedSlot } from './desired.js'

/** What one app's instances need so that its wanted slots are filled. Pure. */

/** A live service instance with intent `run`. */
export interface RunningInstance extends WantedSlot {
  id: InstanceId
  releaseVersion: number
  isReady: boolean
  /** Of its node, where there are others: `suspect` ones are replaced, `lost` ones are also given up. */
  node: 'present' | 'suspect' | 'lost'
  /** For a stable choice between equals: the smaller is the older. */
  createdAtMs: number
}

export interface AppSituation {
  wanted: readonly WantedSlot[]
  /** The release the wanted slots are of; null when nothing is wanted. */
  version: number | null
  /** A deployment is under way: the deployer starts and drains; only what is on silent nodes is replaced here. */
  isDeploying: boolean
  instances: readonly RunningInstance[]
}

export interface AppDiff {
  start: (WantedSlot & { releaseVersion: number })[]
  /** Nobody asked for these (any more). */
  drain: InstanceId[]
  /** Their nodes are lost and replacements serve. Kept while the loss looks like our own fault. */
  drop: InstanceId[]
}

export function diffApp(situation: AppSituation): AppDiff {
  return situation.isDeploying ? replaceAway(situation) : fillSlots(situation)
}

/** While a deployment rolls: every instance whose node is silent gets one of its own kind beside it. */
function replaceAway(situation: AppSituation): AppDiff {
  const diff: AppDiff = { start: [], drain: [], drop: [] }
  for (const instance of situation.instances) {
    if (instance.node === 'present') continue
    const twins = situation.instances.filter(
      (other) =>
        other.id !== instance.id &&
        other.node === 'present' &&
        isSame(other, instance) &&
        other.releaseVersion === instance.releaseVersion,
    )
    if (twins.length === 0) diff.start.push({ ...slotOf(instance), releaseVersion: instance.releaseVersion })
    else if (instance.node === 'lost' && twins.some((twin) => twin.isReady)) diff.drop.push(instance.id)
  }
  diff.start = unique(diff.start)
  return diff
}

function fillSlots(situation: AppSituation): AppDiff {
  const diff: AppDiff = { start: [], drain: [], drop: [] }
  const spoken = new Set<InstanceId>()
  for (const slot of situation.wanted) {
    if (situation.version === null) break
    const right = situation.instances.filter(
      (instance) => isSame(instance, slot) && instance.releaseVersion === situation.version,
    )
    const others = situation.instances.filter(
      (instance) => isSame(instance, slot) && instance.releaseVersion !== situation.version,
    )
    for (const instance of [...right, ...others]) spoken.add(instance.id)
    const present = right.filter((instance) => instance.node === 'present').toSorted(better)
    const [best, ...rest] = present
    if (best === undefined) {
      diff.start.push({ ...slotOf(slot), releaseVersion: situation.version })
      continue
    }
    // Another one goes only when the best one serves, or when it serves nobody itself.
    const mayGo = (instance: RunningInstance): boolean => best.isReady || !instance.isReady
    diff.drain.push(...[...rest, ...others].filter(mayGo).map((instance) => instance.id))
    if (best.isReady) {
      diff.drop.push(...right.filter((instance) => instance.node === 'lost').map((instance) => instance.id))
    }
  }
  diff.drain.push(...situation.instances.filter((instance) => !spoken.has(instance.id)).map((instance) => instance.id))
  return diff
}

/** Ready before not ready, older before younger. */
function better(a: RunningInstance, b: RunningInstance): number {
  return (
    Number(b.isReady) - Number(a.isReady) || a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  )
}

function unique<T extends WantedSlot & { releaseVersion: number }>(slots: readonly T[]): T[] {
  const keys = new Set<string>()
  return slots.filter((slot) => {
    const key = `${slot.type} ${slot.slot} ${slot.releaseVersion}`
    if (keys.has(key)) return false
    keys.add(key)
    return true
  })
}

function isSame(a: WantedSlot, b: WantedSlot): boolean {
  return a.type === b.type && a.slot === b.slot
}

function slotOf({ type, slot }: WantedSlot): WantedSlot {
  return { type, slot }
}

/** The share of all instances that may be given up in one pass because their nodes are lost; more looks like our own fault. */
const MAX_DROP_SHARE = 0.2
/** So few may always be given up. */
const MIN_DROP = 5

/** Whether instances whose nodes are lost may be given up in this pass: never in a mass loss. */
export function mayDrop(dropCount: number, instanceCount: number, isMassLoss: boolean): boolean {
  return !isMassLoss && (dropCount <= MIN_DROP || dropCount <= instanceCount * MAX_DROP_SHARE)
}
