import { CroftError } from './errors.js'

/** A transition table: state → event → next state. A state without events is final. */
export type MachineTable = Record<string, Record<string, string>>

/** Thrown when an event is not allowed in a state. */
export class IllegalTransition extends CroftError {
  constructor(machine: string, state: string, event: string) {
    super({
      code: 'illegal-transition',
      status: 409,
      title: `${machine} cannot ${event} while ${state}`,
      kind: 'system',
    })
  }
}

export type StateOf<T extends MachineTable> = keyof T & string
type KeysOfUnion<U> = U extends unknown ? keyof U & string : never
export type EventOf<T extends MachineTable> = KeysOfUnion<T[keyof T]>

export interface Machine<T extends MachineTable> {
  readonly name: string
  readonly table: T
  readonly states: readonly StateOf<T>[]
  /** The next state, or IllegalTransition. */
  next(state: StateOf<T>, event: EventOf<T>): StateOf<T>
  /** Whether the event is allowed in the state. */
  can(state: StateOf<T>, event: EventOf<T>): boolean
  /** The states in which the event is allowed: the `WHERE state IN (…)` of its UPDATE. */
  from(event: EventOf<T>): readonly StateOf<T>[]
  /** Whether no event leaves the state. */
  isFinal(state: StateOf<T>): boolean
}

/** Makes a machine of an `as const` table; an unknown event does not compile, an illegal move throws. */
export function defineMachine<const T extends MachineTable>(name: string, table: T): Machine<T> {
  const states = Object.keys(table) as StateOf<T>[]
  const target = (state: string, event: string): StateOf<T> | undefined =>
    table[state]?.[event] as StateOf<T> | undefined
  return {
    name,
    table,
    states,
    next(state, event) {
      const to = target(state, event)
      if (to === undefined) throw new IllegalTransition(name, state, event)
      return to
    },
    can: (state, event) => target(state, event) !== undefined,
    from: (event) => states.filter((state) => target(state, event) !== undefined),
    isFinal: (state) => Object.keys(table[state] ?? {}).length === 0,
  }
}
