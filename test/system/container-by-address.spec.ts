import { afterAll } from 'vitest'
import { createGardenClient } from '@croft/garden-api/http'
import { describeBackend } from '@croft/garden-api/conformance'
import { GardenProgram } from './support/garden-rig.js'

/**
 * The conformance suite against anything that speaks the container API, by its address; docs/writing-a-backend.md says how to use
 * it. Without an address it is the example there: the fake, started as a program.
 */

const env = (name: string): string | undefined => process.env[`CROFT_GARDEN_${name}`] || undefined
const named = env('ADDRESS')
const example = named === undefined ? await GardenProgram.make() : undefined
await example?.start('--backend', 'fake')
afterAll(async () => await example?.close())

const open = () =>
  createGardenClient({ address: named ?? example?.address ?? '', ...(env('TOKEN') && { token: env('TOKEN') ?? '' }) })

describeBackend(
  named ?? 'the fake as a program',
  async () => {
    const backend = open()
    return { backend, reopen: async () => open(), clean: async () => await backend.close() }
  },
  {
    base: { image: { uri: env('IMAGE') ?? 'fake:' } },
    user: env('USER') ?? 'alice',
    hasKernel: env('KERNEL') === '1',
    capabilities: await open().capabilities(),
  },
)
