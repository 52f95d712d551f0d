import { shapeOf, type HaproxyState, type MapName } from './state.js'

/** One runtime change of HAProxy. */
export type Change =
  /** Gives a slot that is in maintenance an address and a weight, and opens it. */
  | { kind: 'open'; backend: string; slot: string; address: string; weight: number; isMoved: boolean }
  | { kind: 'weigh'; backend: string; slot: string; weight: number }
  /** No new requests; those in flight go on. */
  | { kind: 'close'; backend: string; slot: string }
  | { kind: 'map-add'; map: MapName; key: string; value: string }
  | { kind: 'map-set'; map: MapName; key: string; value: string }
  | { kind: 'map-delete'; map: MapName; key: string }

export type Reconciliation = { kind: 'reload' } | { kind: 'changes'; changes: Change[] }

/**
 * What turns the observed state into the desired one: a reload when the shape differs, else changes in an order in which no
 * request meets a gap: slots open, then hosts point to them, then hosts that left, and only then slots close. The desired state must
 * come from `assign`, which never gives an open slot another address.
 */
export function reconcile(observed: HaproxyState, desired: HaproxyState): Reconciliation {
  if (shapeOf(observed.slots) !== shapeOf(desired.slots)) return { kind: 'reload' }
  const pairs = observed.slots.flatMap((now, index) => {
    const then = desired.slots[index]
    return then === undefined ? [] : [[now, then] as const]
  })
  const opens = pairs.filter(([now, then]) => then.isReady && !now.isReady)
  return {
    kind: 'changes',
    changes: [
      ...opens.map(([now, then]): Change => ({
        kind: 'open',
        backend: then.backend,
        slot: then.name,
        address: then.address,
        weight: then.weight,
        isMoved: now.address !== then.address,
      })),
      ...pairs
        .filter(([now, then]) => now.isReady && then.isReady && now.weight !== then.weight)
        .map(([, then]): Change => ({ kind: 'weigh', backend: then.backend, slot: then.name, weight: then.weight })),
      ...mapEntries(observed, desired, 'names'),
      ...mapEntries(observed, desired, 'idle'),
      ...mapEntries(observed, desired, 'routes'),
      ...mapDeletions(observed, desired, 'routes'),
      ...pairs
        .filter(([now, then]) => now.isReady && !then.isReady)
        .map(([now]): Change => ({ kind: 'close', backend: now.backend, slot: now.name })),
      ...mapDeletions(observed, desired, 'idle'),
      ...mapDeletions(observed, desired, 'names'),
    ],
  }
}

function mapEntries(observed: HaproxyState, desired: HaproxyState, map: MapName): Change[] {
  const now = observed.maps[map]
  return [...desired.maps[map]]
    .filter(([key, value]) => now.get(key) !== value)
    .map(([key, value]) => ({ kind: now.has(key) ? 'map-set' : 'map-add', map, key, value }))
}

function mapDeletions(observed: HaproxyState, desired: HaproxyState, map: MapName): Change[] {
  return [...observed.maps[map].keys()]
    .filter((key) => !desired.maps[map].has(key))
    .map((key) => ({ kind: 'map-delete', map, key }))
}
