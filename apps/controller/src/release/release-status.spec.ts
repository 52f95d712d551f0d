import { describe, expect, it } from 'vitest'
import type { DeploymentState } from '../deploy/deployment.machine.js'
import { releaseStatus, type ReleaseStatus } from './release-status.js'

describe('the status of a release', () => {
  it.each<[ReleaseStatus, number | null, DeploymentState[]]>([
    ['pending', null, []],
    ['pending', 1, ['pending']],
    ['pending', 1, ['rolling']],
    ['failed', 1, ['reverting']],
    ['failed', 1, ['failed']],
    ['canceled', 1, ['canceled']],
    ['succeeded', 3, ['succeeded']],
    ['succeeded', 2, ['failed', 'succeeded']],
    ['succeeded', 3, ['failed', 'succeeded']],
  ])('is %s for v2 while v%s serves and its deployments are %j', (status, currentVersion, deployments) => {
    expect(releaseStatus({ version: 2, currentVersion, deployments })).toBe(status)
  })
})
