import { describeBackend } from '../conformance/index.js'
import { FakeBackend, FakeStore } from '../fake/index.js'
import { createGardenClient } from './client/client.js'
import { serveFake } from './testing/serve.js'

/** The suite of every backend, with the wire between it and the fake. */
describeBackend(
  'the fake behind the wire',
  async () => {
    const store = new FakeStore()
    const closes: (() => Promise<void>)[] = []
    const open = async () => {
      const served = await serveFake({ fake: new FakeBackend({ store }) })
      const client = createGardenClient({ address: served.address })
      closes.push(async () => {
        await client.close()
        await served.close()
      })
      return client
    }
    return {
      backend: await open(),
      reopen: open,
      clean: async () => {
        for (const close of closes) await close()
      },
    }
  },
  {
    base: { image: { uri: 'fake:' } },
    user: 'alice',
    hasKernel: false,
    capabilities: await new FakeBackend().capabilities(),
  },
)
