import { RUNTIME_NAMES, UPSTREAM_ENDS, type Runtime, type Stack } from './stacks.js'

/** Until when somebody mends security faults. Days are `YYYY-MM-DD`. Pure. */

/** Whether nobody mends faults of a stack any more on that day: neither of its packages nor of the runtimes among them. */
export function isExpired(stack: Stack, today: string): boolean {
  return today > stack.endOfSupport
}

/**
 * What a person who pushes is warned of, or null. A runtime that its makers have given up is mended by the distribution as long as
 * this lives, so both end with the stack.
 */
export function expiryWarning(stack: Stack, runtime: Runtime | null, today: string): string | null {
  if (!isExpired(stack, today)) return null
  const also = runtime === null ? '' : ` and ${RUNTIME_NAMES[runtime]} ${stack.runtimes[runtime]}`
  return `stack ${stack.id} (${stack.name})${also}: no security fixes since ${stack.endOfSupport}`
}

/** The last day on which the makers of a stack's runtime mend it. */
export function upstreamEnd(stack: Stack, runtime: Runtime): string | undefined {
  return UPSTREAM_ENDS[runtime][stack.runtimes[runtime]]
}
