import type { Observed } from '@croft/protocol'
import { describe, expect, it } from 'vitest'
import { deriveState, type InstanceFacts } from './state.js'

const service: InstanceFacts = {
  intent: 'run',
  isPlaced: true,
  isNodeLost: false,
  observed: 'ready',
  isOneShot: false,
  exitCode: null,
}

describe('the state of an instance', () => {
  it.each([
    ['pending', 'pending', 'stopped', { isPlaced: false, observed: null }],
    ['placed', 'draining', 'stopping', { observed: null }],
    ['starting', 'draining', 'stopping', { observed: 'creating' as Observed }],
    ['starting', 'draining', 'stopping', { observed: 'starting' as Observed }],
    ['running', 'draining', 'stopping', { observed: 'ready' as Observed }],
    ['unhealthy', 'draining', 'stopping', { observed: 'unready' as Observed }],
    ['crashed', 'draining', 'stopping', { observed: 'backoff' as Observed }],
    ['finished', undefined, 'stopped', { observed: 'exited' as Observed, isOneShot: true, exitCode: 0 }],
    ['failed', undefined, 'stopped', { observed: 'exited' as Observed, isOneShot: true, exitCode: 1 }],
    ['lost', 'lost', 'lost', { isNodeLost: true }],
  ])('is %s wanted, %s drained, %s stopped for %j', (run, drain, stop, facts) => {
    expect(deriveState({ ...service, ...facts, intent: 'run' })).toBe(run)
    if (drain !== undefined && !('isPlaced' in facts)) {
      expect(deriveState({ ...service, ...facts, intent: 'drain' })).toBe(drain)
    }
    expect(deriveState({ ...service, ...facts, intent: 'stop' })).toBe(stop)
  })

  it('of a service between its end and its next start is crashed', () => {
    expect(deriveState({ ...service, observed: 'exited', exitCode: 0 })).toBe('crashed')
  })
})
