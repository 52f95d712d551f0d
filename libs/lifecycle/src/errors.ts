import { CroftError } from '@croft/kit'

/** Why a build failed, as the build row tells it. */
export type LifecycleReason = 'no-buildpack' | 'buildpack' | 'export'

/** A build that cannot go on. `title` is the cause line of the person who pushed, `suggestion` the line to try. */
export class LifecycleError extends CroftError {
  readonly reason: LifecycleReason

  constructor(reason: LifecycleReason, title: string, suggestion: string, cause?: unknown) {
    super({ code: `build-${reason}`, status: 422, title, suggestion, cause })
    this.reason = reason
  }
}
