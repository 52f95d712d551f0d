import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@croft/kit'
import { FakeBackend } from '../../fake/index.js'
import { createGardenServer, type GardenServer, type GardenServerOptions } from '../server/server.js'

export interface Served {
  backend: FakeBackend
  server: GardenServer
  /** `unix:/…`. */
  address: string
  close(): Promise<void>
}

/** A server on a socket of its own, in front of a fake. */
export async function serveFake(options: Partial<GardenServerOptions> & { fake?: FakeBackend } = {}): Promise<Served> {
  const folder = await mkdtemp(join(tmpdir(), 'croft-wire-'))
  const backend = options.fake ?? new FakeBackend()
  const server = createGardenServer({ backend, logger: silentLogger, ...options })
  const address = await server.listen({ address: `unix:${join(folder, 'garden.sock')}` })
  return {
    backend,
    server,
    address,
    close: async () => {
      await server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
