import { CroftError } from '@croft/kit'

/** There is nothing left to cancel. */
export class BuildHasEnded extends CroftError {
  constructor(id: string, state: string) {
    super({
      code: 'build-has-ended',
      status: 409,
      title: `build ${id} has ended: it ${state === 'canceled' ? 'was' : 'has'} ${state}`,
      suggestion: 'croft builds shows which ones are still open',
    })
  }
}

/** No such build, or one of another app: the answer is the same. */
export class BuildNotFound extends CroftError {
  constructor(id: string) {
    super({
      code: 'build-not-found',
      status: 404,
      title: `there is no build ${id.slice(0, 60)}`,
      suggestion: 'croft builds lists the builds of an app',
    })
  }
}
