import { describeBackend } from '@croft/garden-api/conformance'
import { capabilitiesHere, fixtureImages, image, makeHome } from './support/backend-rig.js'

describeBackend(
  'Linux',
  async () => {
    const home = await makeHome()
    const open = async () => await home.open({ allowPrivileged: true })
    return { backend: await open(), reopen: open, clean: async () => await home.clean() }
  },
  {
    base: image,
    images: fixtureImages,
    user: 'alice',
    hasKernel: true,
    capabilities: { ...(await capabilitiesHere()), hasPrivileged: true },
  },
)
