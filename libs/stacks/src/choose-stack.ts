import intersects from 'semver/ranges/intersects.js'
import { DEFAULT_STACK, RUNTIME_NAMES, STACKS, stackOf, type Runtime, type Stack } from './stacks.js'

/** A runtime an app asks for, and where it says so. */
export interface WantedRuntime {
  runtime: Runtime
  /** A valid semver range; patch releases are not looked at here. */
  range: string
  /** For people: `composer.json`, `.ruby-version`. */
  source: string
}

export type StackChoice =
  /** `because` is what decided; null when the app asked for nothing or the stack was pinned. */
  | { kind: 'chosen'; stack: Stack; because: WantedRuntime | null }
  | { kind: 'unknown'; message: string; remedy: string }
  | { kind: 'unavailable'; message: string; remedy: string }

/**
 * The stack an app is built on: the pinned one, else the newest that has every runtime asked for, else the default. A runtime that
 * the pinned stack, or none, has is an answer, not a substitution.
 */
export function chooseStack(pinned: string | null, wanted: readonly WantedRuntime[]): StackChoice {
  if (pinned !== null) {
    const stack = stackOf(pinned)
    if (stack === undefined) {
      const known = STACKS.map(({ id }) => id).join(', ')
      return { kind: 'unknown', message: `there is no stack ${JSON.stringify(pinned)}`, remedy: `take one of ${known}` }
    }
    const missing = wanted.find((one) => !hasRuntime(stack, one))
    return missing === undefined ? { kind: 'chosen', stack, because: null } : unavailable(missing, stack)
  }
  const [first] = wanted
  if (first === undefined) return { kind: 'chosen', stack: defaultStack(), because: null }
  const fitting = STACKS.findLast((stack) => wanted.every((one) => hasRuntime(stack, one)))
  if (fitting !== undefined) return { kind: 'chosen', stack: fitting, because: first }
  const nowhere = wanted.find((one) => !STACKS.some((stack) => hasRuntime(stack, one)))
  return nowhere === undefined ? together(wanted) : unavailable(nowhere, null)
}

export function hasRuntime(stack: Stack, { runtime, range }: WantedRuntime): boolean {
  return intersects(range, `${stack.runtimes[runtime]}.x`)
}

/** What the push says of a choice that the app's files made: `PHP 8.4 -> stack debian-13`; null when they made none. */
export function choiceLine(choice: Extract<StackChoice, { kind: 'chosen' }>): string | null {
  const { because, stack } = choice
  if (because === null) return null
  return `${RUNTIME_NAMES[because.runtime]} ${stack.runtimes[because.runtime]} -> stack ${stack.id}`
}

function defaultStack(): Stack {
  const stack = stackOf(DEFAULT_STACK)
  if (stack === undefined) throw new RangeError('the default stack is in the table')
  return stack
}

function asked({ runtime, range, source }: WantedRuntime): string {
  return `${RUNTIME_NAMES[runtime]} ${range}, which ${source} asks for`
}

function unavailable(wanted: WantedRuntime, pinned: Stack | null): StackChoice {
  const { runtime } = wanted
  const name = RUNTIME_NAMES[runtime]
  const list = STACKS.map(({ id, runtimes }) => `${name} ${runtimes[runtime]} on ${id}`).join(', ')
  if (pinned === null) {
    return {
      kind: 'unavailable',
      message: `no stack has ${asked(wanted)}`,
      remedy: `ask for what there is: ${list}`,
    }
  }
  const elsewhere = STACKS.findLast((stack) => hasRuntime(stack, wanted))
  const advice = elsewhere === undefined ? '' : `croft stack:set ${elsewhere.id}, or `
  return {
    kind: 'unavailable',
    message: `the stack ${pinned.id} has ${name} ${pinned.runtimes[runtime]}, not ${asked(wanted)}`,
    remedy: `${advice}ask for what there is: ${list}`,
  }
}

function together(wanted: readonly WantedRuntime[]): StackChoice {
  const all = wanted.map(({ runtime, range, source }) => `${RUNTIME_NAMES[runtime]} ${range} (${source})`).join(' and ')
  const list = STACKS.map(({ id, runtimes }) => {
    const present = [...new Set(wanted.map(({ runtime }) => runtime))]
    return `${id} has ${present.map((runtime) => `${RUNTIME_NAMES[runtime]} ${runtimes[runtime]}`).join(' and ')}`
  }).join(', ')
  return {
    kind: 'unavailable',
    message: `no stack has ${all} together`,
    remedy: `ask for versions of one stack: ${list}`,
  }
}
