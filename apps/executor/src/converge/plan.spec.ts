import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DesiredInstance } from '@croft/protocol'
import { BREAK_MS, mayDestroy, NEVER_SEEN, observe } from './freshness.js'
import { plan, type PlanInput } from './plan.js'

const item = (id: string, intent: DesiredInstance['intent'] = 'run'): DesiredInstance =>
  ({ id, intent }) as DesiredInstance
const nothing: PlanInput = { desired: [], known: [], containers: [], addressed: [], spare: [], mayDestroy: true }
const has = (id: string, intent: DesiredInstance['intent'] = 'run', isStopping = false) => ({ id, intent, isStopping })

describe('plan', () => {
  it.each<[string, Partial<PlanInput>, string[]]>([
    ['starts what is wanted and not there', { desired: [item('a')] }, ['start a']],
    [
      'does nothing when all is as wanted',
      { desired: [item('a')], known: [has('a')], containers: [{ handle: 'a-1', instanceId: 'a' }], addressed: ['a'] },
      [],
    ],
    ['tells an instance that it drains', { desired: [item('a', 'drain')], known: [has('a')] }, ['update a']],
    ['stops what is to stop', { desired: [item('a', 'stop')], known: [has('a', 'drain')] }, ['stop a']],
    ['stops once', { desired: [item('a', 'stop')], known: [has('a', 'drain', true)] }, []],
    ['never starts what is to stop', { desired: [item('a', 'stop')] }, []],
    ['stops what is wanted no more', { known: [has('a')] }, ['stop a']],
    ['frees the address of what has left the set', { addressed: ['a'] }, ['free-address a']],
    ['keeps the address of what is still stopping', { desired: [item('a', 'stop')], addressed: ['a'] }, []],
    [
      'destroys a container of ours that nobody wants',
      {
        containers: [
          { handle: 'a-1', instanceId: 'a' },
          { handle: 'x', instanceId: null },
        ],
      },
      ['destroy-container a-1', 'destroy-container x'],
    ],
    [
      'keeps the container and the address of what was made in advance, and of nothing else that is unknown',
      {
        containers: [
          { handle: 's', instanceId: 's' },
          { handle: 't', instanceId: 't' },
        ],
        addressed: ['s', 't'],
        spare: ['s'],
      },
      ['free-address t', 'destroy-container t'],
    ],
    [
      'spares the container of an instance about to be started',
      { desired: [item('a')], containers: [{ handle: 'a-1', instanceId: 'a' }] },
      ['start a'],
    ],
  ])('%s', (_name, input, expected) => {
    const steps = plan({ ...nothing, ...input })
    expect(
      steps.map((step) => `${step.kind} ${'item' in step ? step.item.id : 'id' in step ? step.id : step.handle}`),
    ).toEqual(expected)
  })

  it('creates but never stops, frees or destroys while destroying is off', () => {
    fc.assert(
      fc.property(fc.subarray(['a', 'b', 'c', 'd']), fc.subarray(['a', 'b', 'c', 'd']), (desired, known) => {
        const steps = plan({
          desired: desired.map((id) => item(id, id === 'a' ? 'stop' : 'run')),
          known: known.map((id) => has(id)),
          containers: known.map((id) => ({ handle: `${id}-1`, instanceId: id })),
          addressed: known,
          spare: known,
          mayDestroy: false,
        })
        expect(steps.filter(({ kind }) => kind !== 'start' && kind !== 'update')).toEqual([])
      }),
    )
  })
})

describe('freshness of the desired set', () => {
  it('lets nothing be destroyed before a complete set was read', () => {
    expect(mayDestroy(NEVER_SEEN, 1e9)).toBe(false)
  })
  it('lets be destroyed after the first complete set', () => {
    expect(mayDestroy(observe(NEVER_SEEN, { epoch: 'a', revision: 7 }, 0), 0)).toBe(true)
  })
  it.each([
    ['a new epoch', { epoch: 'b', revision: 9 }],
    ['a revision going backwards', { epoch: 'a', revision: 6 }],
  ])('holds destruction for a minute after %s', (_name, seen) => {
    const broken = observe(observe(NEVER_SEEN, { epoch: 'a', revision: 7 }, 0), seen, 1_000)
    expect(mayDestroy(broken, 1_000 + BREAK_MS - 1)).toBe(false)
    expect(mayDestroy(broken, 1_000 + BREAK_MS)).toBe(true)
  })
})
