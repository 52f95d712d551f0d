import { CroftError } from '@croft/kit'

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
