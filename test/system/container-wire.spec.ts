import { join } from 'node:path'
import { describeBackend, type Topic } from '@croft/garden-api/conformance'
import { createGardenClient, createGardenServer } from '@croft/garden-api/http'
import { silentLogger } from '@croft/kit'
import { capabilitiesHere, fixtureImages, image, makeHome } from './support/backend-rig.js'

const AT_THE_WIRE: Topic[] = [
  'streams',
  'tty',
  'files',
  'freezer',
  'network',
  'sidecars',
  'events',
  'faults',
  'adoption',
]

describeBackend(
  'Linux behind a socket',
  async () => {
    const home = await makeHome()
    const closes: (() => Promise<void>)[] = []
    const open = async (number: number) => {
      const backend = await home.open()
      await backend.recover()
      const server = createGardenServer({ backend, logger: silentLogger })
      const address = await server.listen({ address: `unix:${join(home.dir, `${number}.sock`)}` })
      const client = createGardenClient({ address })
      closes.unshift(
        async () => await client.close(),
        async () => await server.close(),
        async () => await backend.close(),
      )
      return client
    }
    let opened = 0
    return {
      backend: await open(opened),
      reopen: async () => await open((opened += 1)),
      clean: async () => {
        for (const close of closes) await close()
        await home.clean()
      },
    }
  },
  {
    base: image,
    images: fixtureImages,
    user: 'alice',
    hasKernel: true,
    capabilities: await capabilitiesHere(),
    /* the short form leaves out what the wire cannot change */
    ...(process.env['CROFT_TEST_LONG'] !== '1' && { topics: AT_THE_WIRE }),
  },
)
