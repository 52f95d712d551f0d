import type { NodeId } from '@croft/kit'

/** The state of a node, derived from its lease and its marks, on the database's clock. Pure. */
export type NodeState = 'joining' | 'ready' | 'suspect' | 'lost' | 'draining' | 'drained'

/** Silent for this long: kept in the route table, no new placements, replacements start. */
export const SUSPECT_AFTER_MS = 4_000
/** Silent for this long: its instances are replaced for good. */
export const LOST_AFTER_MS = 10_000

export interface NodeLease {
  id: NodeId
  /** Null before its first report. */
  lastReportAtMs: number | null
  isCordoned: boolean
  isDraining: boolean
  hasInstances: boolean
}

export interface NodeHealth {
  states: ReadonlyMap<NodeId, NodeState>
  /** Over half of at least two nodes vanished at once: start, but stop nothing, and tell somebody. */
  isMassLoss: boolean
}

/**
 * Leases count from the later of the last report and the start of this controller, so that its own absence is nobody's loss. The only
 * node of a platform is never lost: there is nowhere else to go.
 */
export function nodeHealth(
  nodes: readonly NodeLease[],
  clock: { nowMs: number; controllerStartedAtMs: number; timeScale: number },
): NodeHealth {
  const states = new Map<NodeId, NodeState>()
  let lost = 0
  for (const node of nodes) {
    const state = stateOf(node, clock, nodes.length === 1)
    if (state === 'lost') lost += 1
    states.set(node.id, state)
  }
  return { states, isMassLoss: nodes.length >= 2 && lost * 2 > nodes.length }
}

function stateOf(
  node: NodeLease,
  clock: { nowMs: number; controllerStartedAtMs: number; timeScale: number },
  isOnly: boolean,
): NodeState {
  if (node.lastReportAtMs === null) return 'joining'
  const silentMs = (clock.nowMs - Math.max(node.lastReportAtMs, clock.controllerStartedAtMs)) * clock.timeScale
  if (silentMs > LOST_AFTER_MS && !isOnly) return 'lost'
  if (silentMs > SUSPECT_AFTER_MS) return 'suspect'
  if (node.isDraining) return node.hasInstances ? 'draining' : 'drained'
  return 'ready'
}

/** Whether new instances may be put there. */
export function takesPlacements(node: Pick<NodeLease, 'isCordoned'>, state: NodeState): boolean {
  return state === 'ready' && !node.isCordoned
}
