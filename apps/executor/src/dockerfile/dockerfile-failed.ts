import { CroftError } from '@croft/kit'

/** A Dockerfile that could not be built; what it says is at fault. `title` names file, line and rule. */
export class DockerfileFailed extends CroftError {
  constructor(title: string, suggestion: string, cause?: unknown) {
    super({ code: 'dockerfile-failed', status: 422, title, suggestion, kind: 'user', cause })
  }
}
