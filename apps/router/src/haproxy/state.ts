/** One pre-allocated server of a backend: at run time only its address, weight and state change. */
export interface Slot {
  backend: string
  /** `s1`, `s2`, … */
  name: string
  /** `ip:port`; BLANK_ADDRESS while it was never used. */
  address: string
  /** Takes new requests (HAProxy's `ready`); otherwise in maintenance: what is in flight goes on. */
  isReady: boolean
  weight: number
}

/** `routes`: host and path prefix → backend. `names`: backend → app name. `idle`: backend → why it has no endpoints. */
export const MAP_NAMES = ['routes', 'names', 'idle'] as const
export type MapName = (typeof MAP_NAMES)[number]
export type Maps = Record<MapName, Map<string, string>>

/** What HAProxy serves, and equally what it should serve: the two are compared. */
export interface HaproxyState {
  /** In the order of the configuration; those of one backend together. */
  slots: Slot[]
  maps: Maps
}

/** Where an unused slot points; discard services are long gone, and the slot is in maintenance anyway. */
export const BLANK_ADDRESS = '127.0.0.1:1'

/** Slots by backend, in order. */
export function slotsByBackend(slots: readonly Slot[]): Map<string, Slot[]> {
  const backends = new Map<string, Slot[]>()
  for (const slot of slots) {
    const list = backends.get(slot.backend)
    if (list === undefined) backends.set(slot.backend, [slot])
    else list.push(slot)
  }
  return backends
}

/** Backend and number of slots of each: what only a reload can change. */
export function shapeOf(slots: readonly Slot[]): string {
  return [...slotsByBackend(slots)].map(([backend, list]) => `${backend}:${list.length}`).join(' ')
}

export function emptyMaps(): Maps {
  return { routes: new Map(), names: new Map(), idle: new Map() }
}
