import { CroftError } from '@croft/kit'

/** Why a build failed, as the build row tells it. */
export type LifecycleReason = 'no-buildpack' | 'buildpack' | 'export'

/** The phases of the lifecycle; each has a decade of exit codes. */
export type LifecyclePhase = 'platform' | 'detect' | 'analyze' | 'restore' | 'build' | 'export' | 'rebase' | 'launch'

interface Failure {
  phase: LifecyclePhase
  /** As the specification gives it; whoever runs the lifecycle as a program ends with it. */
  exitCode: number
  reason: LifecycleReason
}

/** What can go wrong, and the exit code each stands for. */
export const LIFECYCLE_FAILURES = {
  /** The platform speaks an API this lifecycle does not. */
  'platform-api': { phase: 'platform', exitCode: 11, reason: 'export' },
  /** A buildpack speaks an API this lifecycle does not. */
  'buildpack-api': { phase: 'platform', exitCode: 12, reason: 'buildpack' },
  /** Every group was tried; none passed. */
  'no-buildpack': { phase: 'detect', exitCode: 20, reason: 'no-buildpack' },
  /** None passed, and at least one buildpack broke. */
  'detect-broke': { phase: 'detect', exitCode: 21, reason: 'buildpack' },
  detect: { phase: 'detect', exitCode: 22, reason: 'buildpack' },
  analyze: { phase: 'analyze', exitCode: 32, reason: 'export' },
  restore: { phase: 'restore', exitCode: 42, reason: 'export' },
  /** A `bin/build` failed. */
  'build-failed': { phase: 'build', exitCode: 51, reason: 'buildpack' },
  /** What a buildpack left cannot be used. */
  build: { phase: 'build', exitCode: 52, reason: 'buildpack' },
  export: { phase: 'export', exitCode: 62, reason: 'export' },
  rebase: { phase: 'rebase', exitCode: 72, reason: 'export' },
} as const satisfies Record<string, Failure>

export type LifecycleFailure = keyof typeof LIFECYCLE_FAILURES

/** A build that cannot go on. `title` is the cause line of the person who pushed, `suggestion` the line to try. */
export class LifecycleError extends CroftError {
  readonly reason: LifecycleReason
  readonly phase: LifecyclePhase
  readonly exitCode: number
  /** One line for each buildpack that has something to say about it. */
  readonly lines: readonly string[]

  constructor(
    readonly failure: LifecycleFailure,
    title: string,
    suggestion: string,
    more: { cause?: unknown; lines?: readonly string[] } = {},
  ) {
    const { phase, exitCode, reason } = LIFECYCLE_FAILURES[failure]
    super({ code: `build-${reason}`, status: 422, title, suggestion, cause: more.cause })
    this.reason = reason
    this.phase = phase
    this.exitCode = exitCode
    this.lines = more.lines ?? []
  }
}
