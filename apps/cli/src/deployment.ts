import { CroftError } from '@croft/kit'
import { z } from 'zod'
import type { ApiClient } from './client/api-client.js'
import { appPath } from './verb.js'

/** One look at a deployment waits so long, seconds. */
const LOOK_SECONDS = 20

export const deploymentShape = z.looseObject({
  id: z.string(),
  release: z.int(),
  state: z.string(),
  message: z.string().nullable(),
})

export type DeploymentEnd = 'succeeded'

/** A deployment that ended otherwise: the former release serves on. */
export class DeploymentFailed extends CroftError {
  constructor(app: string, release: number, state: string, message: string | null) {
    const [cause, remedy, ...lastLines] = (message ?? '').split('\n')
    super({
      code: `deployment-${state}`,
      status: 409,
      title: `v${release} of ${app} was not deployed`,
      detail: [cause || `it was ${state}`, ...lastLines.map((line) => `  | ${line}`)].join('\n'),
      suggestion: remedy || `croft logs -a ${app} says what happened; the former release serves on`,
      kind: 'user',
    })
  }
}

/**
 * Waits until a deployment has succeeded.
 * @throws DeploymentFailed when it ended in another way
 */
export async function waitForDeployment(
  api: ApiClient,
  app: string,
  id: string,
  signal: AbortSignal,
): Promise<DeploymentEnd> {
  for (;;) {
    const deployment = await api.call('GET', appPath(app, `/deployments/${id}`), deploymentShape, {
      query: { wait: String(LOOK_SECONDS) },
      timeoutMs: (LOOK_SECONDS + 10) * 1000,
      signal,
    })
    switch (deployment.state) {
      case 'succeeded':
        return 'succeeded'
      case 'failed':
      case 'canceled':
        throw new DeploymentFailed(app, deployment.release, deployment.state, deployment.message)
    }
  }
}
