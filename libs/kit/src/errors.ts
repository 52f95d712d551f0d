/** What every expected failure of Croft carries (RFC 9457 members plus ours). */
export interface CroftErrorInit {
  /** Stable kebab-case code, e.g. `name-unavailable`. The problem `type` URI is derived from it. */
  code: string
  /** HTTP status it maps to. */
  status: number
  /** What happened, one line, no trailing dot. */
  title: string
  /** Why it happened, naming the thing. */
  detail?: string
  /** What the reader can do now. */
  suggestion?: string
  /** Which inputs were wrong: field name to what is wrong with it. */
  fields?: Record<string, string>
  /** Whose fault it is: a `user` error logs no stack trace, a `system` error leaks none. */
  kind?: 'user' | 'system'
  /** When the same may work, seconds from now. */
  retryAfterS?: number
  cause?: unknown
}

const BRAND: unique symbol = Symbol.for('croft.error')

/**
 * The base class of every expected failure: what happened, why, what to do (style rules 21–24). Another copy's errors are
 * instances too: the CLI is a bundle, and what it loads beside itself brings its own.
 */
export class CroftError extends Error {
  readonly [BRAND] = true
  readonly code: string
  readonly status: number
  readonly title: string
  readonly detail: string | undefined
  readonly suggestion: string | undefined
  readonly fields: Record<string, string> | undefined
  readonly kind: 'user' | 'system'
  readonly retryAfterS: number | undefined

  constructor(init: CroftErrorInit) {
    super(init.detail === undefined ? init.title : `${init.title}: ${init.detail}`, { cause: init.cause })
    this.name = new.target.name
    this.code = init.code
    this.status = init.status
    this.title = init.title
    this.detail = init.detail
    this.suggestion = init.suggestion
    this.fields = init.fields
    this.kind = init.kind ?? (init.status >= 500 ? 'system' : 'user')
    this.retryAfterS = init.retryAfterS
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== CroftError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return value instanceof Error && BRAND in value
  }
}

/** An RFC 9457 problem document with the members Croft adds. */
export interface Problem {
  type: string
  title: string
  status: number
  detail?: string
  instance?: string
  code: string
  requestId?: string
  suggestion?: string
  fields?: Record<string, string>
}

const PROBLEM_TYPE_BASE = 'https://croft.dev/problems/'

/** Turns any thrown value into a problem document; an unexpected one leaks nothing but the request id. */
export function toProblem(error: unknown, context: { instance?: string; requestId?: string } = {}): Problem {
  const known =
    error instanceof CroftError
      ? error
      : new CroftError({
          code: 'internal',
          status: 500,
          title: 'Something went wrong inside Croft',
          suggestion: 'Quote the request id to whoever runs this platform; its log has the details',
        })
  return {
    type: PROBLEM_TYPE_BASE + known.code,
    title: known.title,
    status: known.status,
    code: known.code,
    ...(known.detail !== undefined && { detail: known.detail }),
    ...(context.instance !== undefined && { instance: context.instance }),
    ...(context.requestId !== undefined && { requestId: context.requestId }),
    ...(known.suggestion !== undefined && { suggestion: known.suggestion }),
    ...(known.fields !== undefined && { fields: known.fields }),
  }
}

/** Narrows an unknown thrown value to its message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a Node system error (`ENOENT`, …), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Makes a switch over a union exhaustive: a case nobody handled does not compile. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`)
}
