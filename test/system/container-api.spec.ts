import type { Capabilities } from '@croft/garden-api'
import { describeBackend } from '@croft/garden-api/conformance'
import { fixtureImages, image, makeHome } from './support/backend-rig.js'

/** What the backend can do on this host, asked of one that makes nothing. */
async function capabilities(): Promise<Capabilities> {
  const home = await makeHome()
  const backend = await home.open()
  try {
    return await backend.capabilities()
  } finally {
    await backend.close()
    await home.clean()
  }
}

describeBackend(
  'Linux',
  async () => {
    const home = await makeHome()
    return { backend: await home.open(), reopen: async () => await home.open(), clean: async () => await home.clean() }
  },
  { base: image, images: fixtureImages, user: 'alice', hasKernel: true, capabilities: await capabilities() },
)
