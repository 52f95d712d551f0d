import { RELEASE_TYPE } from '../release/service-spec.js'

/** Which slots an app should have: formation × release. Pure. */

export interface WantedSlot {
  type: string
  /** From 1. */
  slot: number
}

export interface Demand {
  isDestroyed: boolean
  /** `ps:stop`: nothing runs until `ps:start`, whatever the formation says. */
  isStopped: boolean
  formation: readonly { type: string; quantity: number }[]
  /** Process types of the release in question; null when there is none. */
  processTypes: readonly string[] | null
}

/** The slots in the order of type and number; a type the release does not have has none. */
export function wantedSlots(demand: Demand): WantedSlot[] {
  const { processTypes } = demand
  if (demand.isDestroyed || demand.isStopped || processTypes === null) return []
  return demand.formation
    .filter(({ type }) => type !== RELEASE_TYPE && processTypes.includes(type))
    .toSorted((a, b) => (a.type < b.type ? -1 : 1))
    .flatMap(({ type, quantity }) => Array.from({ length: quantity }, (_, index) => ({ type, slot: index + 1 })))
}
