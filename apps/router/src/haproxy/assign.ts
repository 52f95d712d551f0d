import type { Pool } from '../table.js'
import { BLANK_ADDRESS, emptyMaps, slotsByBackend, type HaproxyState, type Slot } from './state.js'

/** Backends that are there before any app is; more come by a reload, so that a new app needs none. */
const SPARE_BACKENDS = 64
/** Backends are added in steps of this many. */
const BACKENDS_STEP = 64
/** Slots of a new backend: four instances and the four that replace them. */
const FIRST_SLOTS = 8
const NEW_SLOT_WEIGHT = 1

/**
 * What HAProxy should serve so that each pool has a backend and each endpoint a ready slot, changing as little as possible of what
 * it serves now (null = it does not run): a pool keeps its backend, an endpoint its slot. A slot that is open, or whose address is
 * busy (requests of an instance that left are still in flight), is not given to another, nor is its backend: no request ever meets
 * another app's instance. Missing backends and slots are added, which makes the shape differ and so needs a reload. `fixedRoutes`
 * are the platform's own entries of the route map.
 */
export function assign(
  pools: readonly Pool[],
  observed: HaproxyState | null,
  isBusy: (address: string) => boolean,
  fixedRoutes: ReadonlyMap<string, string>,
): HaproxyState {
  const open = new Set(observed?.slots.filter((slot) => slot.isReady).map(nameOf))
  const isTaken = (slot: Slot): boolean => open.has(nameOf(slot)) || isBusy(slot.address)
  const backends = slotsByBackend((observed?.slots ?? []).map((slot) => ({ ...slot, isReady: false })))
  const chosen = chooseBackends(pools, observed, backends, isTaken)
  const maps = emptyMaps()
  for (const [prefix, backend] of fixedRoutes) maps.routes.set(prefix, backend)
  for (const [index, pool] of pools.entries()) {
    const backend = chosen[index]
    const slots = backend === undefined ? undefined : backends.get(backend)
    if (backend === undefined || slots === undefined) throw new Error(`no backend for ${pool.appName}`)
    fillSlots(pool, backend, slots, isTaken)
    for (const prefix of pool.prefixes) maps.routes.set(prefix, backend)
    maps.names.set(backend, pool.appName)
    if (pool.idleReason !== null) maps.idle.set(backend, pool.idleReason)
  }
  return { slots: [...backends.values()].flat(), maps }
}

/**
 * The backend of each pool: the one it has, else a free one, else a new one (which is added to `backends`). One that hosts still
 * lead to is not free before they have left.
 */
function chooseBackends(
  pools: readonly Pool[],
  observed: HaproxyState | null,
  backends: Map<string, Slot[]>,
  isTaken: (slot: Slot) => boolean,
): string[] {
  const taken = new Set<string>()
  const chosen = pools.map((pool) => {
    const own = pool.prefixes
      .map((prefix) => observed?.maps.routes.get(prefix))
      .find(
        (backend) =>
          backend !== undefined &&
          backends.has(backend) &&
          !taken.has(backend) &&
          observed?.maps.names.get(backend) === pool.appName,
      )
    if (own !== undefined) taken.add(own)
    return own
  })
  const routed = new Set(observed?.maps.routes.values())
  const homeless = chosen.filter((backend) => backend === undefined).length
  const free = [...backends]
    .filter(([backend, slots]) => !taken.has(backend) && !routed.has(backend) && !slots.some(isTaken))
    .map(([backend]) => backend)
  if (free.length < homeless || backends.size === 0) {
    const wanted = backends.size + homeless - free.length
    const total = Math.ceil(Math.max(wanted, pools.length * 1.25 + SPARE_BACKENDS) / BACKENDS_STEP) * BACKENDS_STEP
    for (let index = backends.size + 1; index <= total; index += 1) {
      const backend = `b${String(index).padStart(5, '0')}`
      backends.set(backend, blankSlots(backend, 1, FIRST_SLOTS))
      free.push(backend)
    }
  }
  return chosen.map((backend) => backend ?? free.shift() ?? '')
}

/** Puts the pool's endpoints into slots of its backend, adding slots when the free ones do not suffice. */
function fillSlots(pool: Pool, backend: string, slots: Slot[], isTaken: (slot: Slot) => boolean): void {
  const wanted = new Map(pool.endpoints.map((endpoint) => [endpoint.address, endpoint]))
  const free: Slot[] = []
  for (const slot of slots) {
    const endpoint = wanted.get(slot.address)
    if (endpoint !== undefined) {
      slot.isReady = true
      slot.weight = endpoint.weight
      wanted.delete(slot.address)
    } else if (!isTaken(slot)) {
      free.push(slot)
    }
  }
  if (free.length < wanted.size) {
    const needed = slots.length + wanted.size - free.length
    const more = blankSlots(backend, slots.length + 1, 2 ** Math.ceil(Math.log2(needed * 2)))
    slots.push(...more)
    free.push(...more)
  }
  for (const endpoint of wanted.values()) {
    const slot = free.shift()
    if (slot === undefined) throw new Error(`no slot for ${endpoint.address}`)
    slot.address = endpoint.address
    slot.weight = endpoint.weight
    slot.isReady = true
  }
}

function blankSlots(backend: string, from: number, to: number): Slot[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => ({
    backend,
    name: `s${from + index}`,
    address: BLANK_ADDRESS,
    isReady: false,
    weight: NEW_SLOT_WEIGHT,
  }))
}

function nameOf(slot: Slot): string {
  return `${slot.backend}/${slot.name}`
}
