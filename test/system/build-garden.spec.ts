import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withKnown } from '../../apps/executor/src/foreign-backend.js'
import { buildNeeds } from './support/build-needs.js'
import { failed, succeeded } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import { firstPage } from './support/running-image.js'
import { GardenProgram } from './support/garden-rig.js'

/** Builds whose containers are another process's: of `croft garden`, reached by its socket. */
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

  it('of a Dockerfile is refused at once, with the remedy, where no container may be privileged', async () => {
    const dockerfile = 'FROM croft/debian-12\n'
    const refused = failed(await rig.build({ Dockerfile: dockerfile }, { wishes: { dockerfile } }))
    expect(refused.message).toContain('a privileged container, which Dockerfiles are built in, is not supported')
    expect(refused.suggestion).toContain('croft garden --allow-privileged')
  })
})
