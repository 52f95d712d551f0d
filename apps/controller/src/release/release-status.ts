import { assertNever } from '@croft/kit'
import type { DeploymentState } from '../deploy/deployment.machine.js'

/** What became of a release. Pure. */
export type ReleaseStatus = 'pending' | 'succeeded' | 'failed' | 'canceled'

export interface ReleaseFacts {
  version: number
  /** The release that serves. */
  currentVersion: number | null
  /** States of its deployments, newest first. */
  deployments: readonly DeploymentState[]
}

/** A release that serves or once served has succeeded, whatever a later restart of it came to. */
export function releaseStatus(facts: ReleaseFacts): ReleaseStatus {
  if (facts.version === facts.currentVersion || facts.deployments.includes('succeeded')) return 'succeeded'
  const [newest] = facts.deployments
  switch (newest) {
    case undefined:
    case 'pending':
    case 'releasing':
    case 'rolling':
      return 'pending'
    case 'reverting':
    case 'failed':
      return 'failed'
    case 'canceled':
      return 'canceled'
    case 'succeeded':
      return 'succeeded'
    default:
      return assertNever(newest)
  }
}
