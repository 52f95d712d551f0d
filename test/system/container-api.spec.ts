import { describeBackend, shellCommands } from '@croft/garden-api/conformance'
import { image, makeHome } from './support/backend-rig.js'

describeBackend(
  'Linux',
  async () => {
    const home = await makeHome()
    return { backend: await home.open(), reopen: async () => await home.open(), clean: async () => await home.clean() }
  },
  { commands: shellCommands, base: image, user: 'alice', hasKernel: true },
)
