import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { InternalServer } from '../http/internal-server.js'
import { RegistryTrust } from './registry-trust.js'

let folder: string
let server: InternalServer
let ca: string | null
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'registry-trust-'))
  server = new InternalServer('node', join(folder, 'node.sock'), silentLogger)
  ca = null
})
afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

function open(hostCa: string | null): RegistryTrust {
  const trust = new RegistryTrust({ hostCa }, { get: async () => ca as never }, server)
  trust.onModuleInit()
  return trust
}
const asked = async (): Promise<string> => (await server.fastify.inject('/v1/registry-certificates')).body

describe('who may sign for registries', () => {
  it('is whom the host and the settings trust, as they are now', async () => {
    const hostCa = join(folder, 'ca.crt')
    writeFileSync(hostCa, 'host')
    const { certificates } = open(hostCa)
    expect(await certificates()).toBe('host\n')
    ca = 'set'
    expect(await certificates()).toBe('host\nset')
    writeFileSync(hostCa, 'renewed')
    expect(await certificates()).toBe('renewed\nset')
  })

  it('is told to executors without what is only this host’s', async () => {
    open(null)
    expect(await asked()).toBe('')
    ca = 'set'
    expect(await asked()).toBe('set')
  })
})
