import { afterAll, beforeAll, describe } from 'vitest'
import { describeAdoption } from './specs/adoption.js'
import { describeContainers } from './specs/containers.js'
import { describeDevices } from './specs/devices.js'
import { describeEvents } from './specs/events.js'
import { describeFaults } from './specs/faults.js'
import { describeFiles } from './specs/files.js'
import { describeImages } from './specs/images.js'
import { describeIsolation } from './specs/isolation.js'
import { describeFreezer } from './specs/freezer.js'
import { describeLimits } from './specs/limits.js'
import { describeNames } from './specs/names.js'
import { describeNetwork } from './specs/network.js'
import { describePrivileged } from './specs/privileged.js'
import { describeProcesses } from './specs/processes.js'
import { describeSidecars } from './specs/sidecars.js'
import { describeStreams } from './specs/streams.js'
import { describeTty } from './specs/tty.js'
import { describeUsage } from './specs/usage.js'
import { describeUsers } from './specs/users.js'
import { Suite, type BackendUnderTest, type ConformanceOptions } from './suite.js'

const TOPICS = {
  containers: describeContainers,
  processes: describeProcesses,
  streams: describeStreams,
  tty: describeTty,
  users: describeUsers,
  files: describeFiles,
  limits: describeLimits,
  usage: describeUsage,
  freezer: describeFreezer,
  network: describeNetwork,
  names: describeNames,
  sidecars: describeSidecars,
  images: describeImages,
  isolation: describeIsolation,
  privileged: describePrivileged,
  devices: describeDevices,
  events: describeEvents,
  faults: describeFaults,
  adoption: describeAdoption,
}

export type Topic = keyof typeof TOPICS

/**
 * The suite any backend must pass; what its capabilities exclude is skipped by name. `topics` are a part of it, for a backend of
 * which the rest is known already.
 */
export function describeBackend(
  title: string,
  makeBackend: () => Promise<BackendUnderTest>,
  options: ConformanceOptions & { topics?: readonly Topic[] },
): void {
  describe(`${title}: the container API`, () => {
    const suite = new Suite(options)
    beforeAll(async () => {
      suite.underTest = await makeBackend()
      await suite.backend.recover()
    })
    afterAll(async () => {
      await suite.underTest.clean()
    })
    for (const [topic, describeTopic] of Object.entries(TOPICS))
      if (options.topics?.includes(topic as Topic) !== false) describeTopic(suite)
  })
}
