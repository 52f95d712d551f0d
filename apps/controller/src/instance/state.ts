import type { Intent, Observed } from '@croft/protocol'

/** What a person sees of an instance: a function of intent, observation and the node's lease, never stored. Pure. */
export type InstanceState =
  | 'pending'
  | 'placed'
  | 'starting'
  | 'running'
  | 'unhealthy'
  | 'crashed'
  | 'finished'
  | 'failed'
  | 'draining'
  | 'stopping'
  | 'stopped'
  | 'lost'

export interface InstanceFacts {
  intent: Intent
  isPlaced: boolean
  isNodeLost: boolean
  /** What its node said last since that node's boot; null before the first word. */
  observed: Observed | null
  /** A build or another process that ends by itself. */
  isOneShot: boolean
  /** Of the last end; null while there was none. */
  exitCode: number | null
}

/** The table of architecture.md, row by row. */
export function deriveState(facts: InstanceFacts): InstanceState {
  if (!facts.isPlaced) return facts.intent === 'run' ? 'pending' : 'stopped'
  if (facts.isNodeLost) return 'lost'
  const isOver = facts.observed === 'exited' && facts.isOneShot
  switch (facts.intent) {
    case 'stop':
      return isOver ? 'stopped' : 'stopping'
    case 'drain':
      return 'draining'
    case 'run':
      return isOver ? (facts.exitCode === 0 ? 'finished' : 'failed') : stateOfRunning(facts.observed)
  }
}

function stateOfRunning(observed: Observed | null): InstanceState {
  switch (observed) {
    case null:
      return 'placed'
    case 'creating':
    case 'starting':
      return 'starting'
    case 'ready':
      return 'running'
    case 'unready':
      return 'unhealthy'
    case 'backoff':
    case 'exited': // a service between its end and its next start
      return 'crashed'
  }
}
