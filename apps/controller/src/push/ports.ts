import type { AppId, DeploymentId, PushId } from '@croft/kit'
import type { Deployment } from '../deploy/deployment.entity.js'
import type { Release } from '../release/release.entity.js'

/** How a deployment ended. */
export type DeployEnd =
  | { state: 'succeeded' }
  | { state: 'failed'; cause: string; suggestion: string; lastLines: string[] }
  | { state: 'canceled' }

/** What a push needs of deployments. */
export interface Deploys {
  start(release: Release, options: { pushId: PushId }): Promise<Deployment>
  /** Lines come in the grammar of a push; an aborted signal cancels the deployment. */
  wait(id: DeploymentId, options: { onLine: (line: string) => void; signal: AbortSignal }): Promise<DeployEnd>
  /** The deployment a push started, or null. */
  ofPush(appId: AppId, pushId: PushId): Promise<Deployment | null>
  /** Ends a deployment that has not ended; the former release is made whole again. */
  cancel(id: DeploymentId): Promise<void>
}

export const DEPLOYS = Symbol('DEPLOYS')
