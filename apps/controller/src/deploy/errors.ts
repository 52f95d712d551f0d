import { CroftError } from '@croft/kit'

/** An app rolls one release at a time. */
export class DeploymentActive extends CroftError {
  constructor(app: string, version: number) {
    super({
      code: 'deployment-active',
      status: 409,
      title: `${app} is being deployed (v${version})`,
      detail: 'one release rolls at a time',
      suggestion: `wait until it is done (croft releases -a ${app}) and try again`,
    })
  }
}

/** No such deployment of that app. */
export class DeploymentNotFound extends CroftError {
  constructor(app: string) {
    super({ code: 'deployment-not-found', status: 404, title: `${app} has no such deployment` })
  }
}
