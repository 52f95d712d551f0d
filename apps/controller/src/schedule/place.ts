import type { AppId, InstanceId, NodeId } from '@croft/kit'

/** Which node an instance runs on. Pure. */

export interface PlaceableNode {
  id: NodeId
  name: string
  /** Ready and not cordoned. */
  isOpen: boolean
  memoryBytes: number
  maxInstances: number
}

/** An instance that has a node already. */
export interface PlacedInstance {
  nodeId: NodeId
  appId: AppId
  type: string
  slot: number
  memoryBytes: number
  /** A build: its limit bounds it, but reserves nothing. */
  isOneShot: boolean
}

export interface PlaceRequest {
  instanceId: InstanceId
  appId: AppId
  type: string
  slot: number
  memoryBytes: number
  isOneShot: boolean
  /** Where its caches are; taken when there is room. */
  preferredNode: NodeId | null
}

export type Placement =
  | { kind: 'placed'; instanceId: InstanceId; nodeId: NodeId }
  | { kind: 'unplaceable'; instanceId: InstanceId; error: string }

/**
 * Places requests in their order. Memory is reserved by limit; an instance that replaces another one of its slot on the same node uses
 * that one's reservation until it is gone, so that a full node can still be deployed to. Instances of one process type are spread: the
 * node with the fewest of them wins, then the one with the most free memory.
 */
export function place(
  requests: readonly PlaceRequest[],
  nodes: readonly PlaceableNode[],
  placed: readonly PlacedInstance[],
): Placement[] {
  const loads = new Map(nodes.map((node) => [node.id, new NodeLoad(node)]))
  for (const instance of placed) loads.get(instance.nodeId)?.add(instance)
  return requests.map((request): Placement => {
    const chosen = choose(request, [...loads.values()])
    if (chosen === null) {
      return { kind: 'unplaceable', instanceId: request.instanceId, error: whyNot(request, [...loads.values()]) }
    }
    chosen.add(request)
    return { kind: 'placed', instanceId: request.instanceId, nodeId: chosen.node.id }
  })
}

function choose(request: PlaceRequest, loads: readonly NodeLoad[]): NodeLoad | null {
  const fitting = loads.filter((load) => load.fits(request))
  const preferred = fitting.find((load) => load.node.id === request.preferredNode)
  if (preferred !== undefined) return preferred
  const [best] = fitting.toSorted(
    (a, b) =>
      a.siblings(request) - b.siblings(request) || b.freeBytes - a.freeBytes || (a.node.id < b.node.id ? -1 : 1),
  )
  return best ?? null
}

/** The placement error, as product text. */
function whyNot(request: PlaceRequest, loads: readonly NodeLoad[]): string {
  if (loads.length === 0) return 'no node has joined this platform yet; look at the log of the executor'
  const open = loads.filter((load) => load.node.isOpen)
  if (open.length === 0) return 'no node is ready; croft status says more'
  const largest = Math.max(...open.map((load) => load.freeFor(request)))
  if (largest < neededBytes(request)) {
    return `no node has ${mib(neededBytes(request))} MiB free (largest ${mib(Math.max(0, largest))} MiB); scale down or add one`
  }
  const most = Math.max(...open.map((load) => load.node.maxInstances))
  return `every node has as many instances as it can (${most}); scale down or add one`
}

const MIB = 1024 * 1024

function mib(bytes: number): number {
  return Math.floor(bytes / MIB)
}

function neededBytes(request: Pick<PlaceRequest, 'isOneShot' | 'memoryBytes'>): number {
  return request.isOneShot ? 0 : request.memoryBytes
}

type Occupant = Omit<PlacedInstance, 'nodeId'>

/** What is reserved on one node. */
class NodeLoad {
  /** Slot → the largest reservation of the instances that share it. */
  readonly #slots = new Map<string, number>()
  readonly #types = new Map<string, number>()
  #count = 0
  #reservedBytes = 0

  constructor(readonly node: PlaceableNode) {}

  get freeBytes(): number {
    return this.node.memoryBytes - this.#reservedBytes
  }

  /** Free for this one: what its slot holds already counts as free. */
  freeFor(occupant: Occupant): number {
    return this.freeBytes + (occupant.isOneShot ? 0 : (this.#slots.get(slotKey(occupant)) ?? 0))
  }

  fits(request: PlaceRequest): boolean {
    return this.node.isOpen && this.#count < this.node.maxInstances && this.freeFor(request) >= neededBytes(request)
  }

  /** Instances of the same process type. */
  siblings(occupant: Occupant): number {
    return this.#types.get(typeKey(occupant)) ?? 0
  }

  add(occupant: Occupant): void {
    this.#count += 1
    this.#types.set(typeKey(occupant), this.siblings(occupant) + 1)
    if (occupant.isOneShot) return
    const held = this.#slots.get(slotKey(occupant)) ?? 0
    const holds = Math.max(held, occupant.memoryBytes)
    this.#slots.set(slotKey(occupant), holds)
    this.#reservedBytes += holds - held
  }
}

function typeKey({ appId, type }: Occupant): string {
  return `${appId} ${type}`
}

function slotKey({ appId, type, slot }: Occupant): string {
  return `${appId} ${type} ${slot}`
}
