import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger, systemClock, waitFor } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BuildSpare } from '../../apps/executor/src/build/make-spare.js'
import { SpareContainer } from '../../apps/executor/src/spare/spare-container.js'
import { withKnown } from '../../apps/executor/src/foreign-backend.js'
import { buildNeeds } from './support/build-needs.js'
import { failed, succeeded } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import { firstPage } from './support/running-image.js'
import { GardenProgram } from './support/garden-rig.js'

/** Builds whose containers are another process's: of `croft garden`, reached by its socket. */
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const needs = buildNeeds()
let garden: GardenProgram
let rig: BuildRig
beforeAll(async () => {
  if (needs !== null) return
  garden = await GardenProgram.make()
  await garden.start('--network', '10.222.212.0/22', '--destroy-on-exit')
  rig = await buildRig('10.222.208.0/22', (images) => withKnown(garden.client(), { images, egress: [], homeId: '' }))
})
afterAll(async () => {
  await rig?.close()
  await garden?.close()
})

const OTHER_APP = '01890000-0000-7000-8000-000000000002'
const app = (word: string): Record<string, string> => ({
  'package.json': JSON.stringify({ name: 'app', private: true, scripts: { start: 'node server.js' } }),
  'server.js': `require('node:http').createServer((_, answer) => answer.end('${word}')).listen(process.env.PORT)\n`,
})

describe.skipIf(needs !== null)('a build over croft garden', () => {
  it('yields an image that runs there, and the next one is built upon what it left', async () => {
    const first = succeeded(await rig.build(app('first')))
    const second = succeeded(await rig.build(app('second'), { previousImage: first.image }))
    expect(second.newLayers).toBeLessThan(first.newLayers)
    expect(await firstPage(rig, second.image)).toBe('second')
    expect(await garden.client().containers()).toEqual([])
  })

  it.runIf(isLong)('takes the container made in advance when nothing of its own would be different', async () => {
    const taken: unknown[] = []
    const note = (event: string): void => void (event === 'spare-taken' && taken.push(event))
    const logger = { ...silentLogger, info: note }
    const { backend, paths } = rig.ports
    const spare: BuildSpare = new SpareContainer({
      backend,
      clock: systemClock,
      logger,
      availableBytes: () => 2 ** 40,
      keptMs: 15 * 60_000,
      prefix: 'spare-',
      made: 'when-calm',
    })
    const addresses = new Set<string>()
    spare.open({
      addressOf: async (id) => `10.222.213.${addresses.add(id).size}`,
      moveAddress: async () => false,
      freeAddress: async (id) => void addresses.delete(id),
      isBusy: () => false,
    })
    rig.ports.spare = spare
    const stands = (): Promise<unknown> =>
      waitFor(async () => (await backend.containers()).length === 1, { what: 'a spare', timeoutMs: 10_000 })
    try {
      const limits = { memoryBytes: 2 ** 31, cpuShares: 1000, cpuQuotaMillis: null, pids: 512, diskBytes: 2 ** 32 }
      const env = { TOKEN: 'canary' }
      let previousImage = succeeded(await rig.build(app('first'))).image
      for (const [change, isTaken] of [
        [{}, true],
        [{ env }, true],
        [{ limits: { ...limits, pids: 511 } }, false],
        [{ isClean: true }, false],
        [{}, true],
      ] as const) {
        taken.length = 0
        await stands()
        const [id = ''] = spare.ids
        expect(readdirSync(join(paths.secrets, id, 'platform/env'))).toEqual([])
        const built = succeeded(await rig.build(app(`next ${previousImage}`), { previousImage, change }))
        expect(taken).toHaveLength(isTaken ? 1 : 0)
        await waitFor(() => !spare.ids.includes(id), { what: 'it to go', timeoutMs: 10_000 })
        previousImage = built.image
      }
      expect(await firstPage(rig, previousImage)).toContain('next sha256:')
      expect(succeeded(await rig.build(app('other'), { appId: OTHER_APP })).newLayers).toBeGreaterThan(0)
      expect(taken).toHaveLength(1)
    } finally {
      delete rig.ports.spare
      await spare.close()
    }
    expect([...addresses, ...(await backend.containers()), ...readdirSync(paths.builds)]).toEqual([])
  })

  it('of a Dockerfile is refused at once, with the remedy, where no container may be privileged', async () => {
    const dockerfile = 'FROM croft/debian-12\n'
    const refused = failed(await rig.build({ Dockerfile: dockerfile }, { wishes: { dockerfile } }))
    expect(refused.message).toContain('a privileged container, which Dockerfiles are built in, is not supported')
    expect(refused.suggestion).toContain('croft garden --allow-privileged')
  })
})
