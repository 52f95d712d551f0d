import { availableParallelism } from 'node:os'
import { waitFor } from '@croft/kit'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from '../support/build-needs.js'
import { succeeded } from '../support/build-results.js'
import { APP, type BuildRig } from '../support/build-rig.js'
import { LIMITS } from './limits.js'
import { plain } from './looks.js'

const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined

/** What a build has where apps want every processor. */
export function describeBusyHosts(rigOfFile: () => BuildRig): void {
  describe.runIf(needs === null && isLong)('a build beside apps that take every processor', () => {
    let rig: BuildRig
    beforeAll(() => (rig = rigOfFile()))

    it('has what they leave, and its share once that is nothing, so that it ends', async () => {
      const { image } = succeeded(await rig.build(plain({})))
      await rig.ports.images.ensure(APP, image)
      const busy = await rig.backend.create({ handle: 'busy', image: { uri: `croft:${image}` } })
      const spin = `for n in $(seq ${2 * availableParallelism()}); do (while :; do :; done) & done; wait`
      await busy.run({ path: '/bin/sh', args: ['-c', spin], user: 'croft' })
      const weights = new Set<number>()
      try {
        const building = rig.build(plain({ build: 'node -e "for (let n = 0; n < 1e9; n += 1);"' }))
        let isOver = false
        const ended = building.finally(() => (isOver = true))
        await waitFor(
          async () => {
            for (const container of await rig.backend.containers()) {
              const limits = container.handle === 'busy' ? null : await container.limits().catch(() => null)
              if (limits?.cpu?.weight !== undefined) weights.add(limits.cpu.weight)
            }
            return isOver
          },
          { what: 'the build to end', timeoutMs: 110_000, everyMs: 50 },
        )
        succeeded(await ended)
      } finally {
        await rig.backend.destroy('busy')
      }
      expect([...weights]).toEqual([2, LIMITS.cpuShares])
    })
  })
}
