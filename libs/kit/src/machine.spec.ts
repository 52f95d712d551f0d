import { describe, expect, it } from 'vitest'
import { defineMachine, IllegalTransition } from './machine.js'

const door = defineMachine('door', {
  open: { close: 'closed' },
  closed: { open: 'open', lock: 'locked' },
  locked: {},
} as const)

describe('machine', () => {
  it('gives the next state of an allowed event', () => {
    expect(door.next('open', 'close')).toBe('closed')
  })
  it('throws IllegalTransition naming machine, state and event for a move that is not in the table', () => {
    expect(() => door.next('open', 'lock')).toThrow(IllegalTransition)
    expect(() => door.next('open', 'lock')).toThrow('door cannot lock while open')
  })
  it('does not compile for an event nobody declared', () => {
    // @ts-expect-error: `paint` is no event of a door
    expect(() => door.next('open', 'paint')).toThrow(IllegalTransition)
  })
  it('lists the states an event may come from', () => {
    expect(door.from('close')).toEqual(['open'])
  })
  it('knows a final state: no event leaves it', () => {
    expect(door.states.filter((state) => door.isFinal(state))).toEqual(['locked'])
  })
})
