import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeBusyHosts } from './build/busy-hosts.js'
import { describeFailures } from './build/failures.js'
import { describeLockFileApps } from './build/lock-file-apps.js'
import { describePlainApps } from './build/plain-apps.js'
import { buildNeeds } from './support/build-needs.js'
import { APP, buildRig, type BuildRig } from './support/build-rig.js'

/**
 * Builds from a source tar to an image that runs, in containers of the Linux backend; controller and registry only remember.
 * Packages come from the npm registry the host is configured for. What is said of builds stands in `build/`, for one node that
 * builds: another one of each would have its first layers to make anew.
 */
const needs = buildNeeds()
let rig: BuildRig
beforeAll(async () => {
  if (needs === null) rig = await buildRig('10.222.240.0/22')
})
afterAll(async () => await rig?.close())

const theRig = (): BuildRig => rig
describeLockFileApps(theRig)
describePlainApps(theRig)
describeFailures(theRig)
describeBusyHosts(theRig)

it.skipIf(needs === null)(`builds are not tried here: this host lacks ${needs}`, () => {
  expect(APP).toBeDefined()
})
