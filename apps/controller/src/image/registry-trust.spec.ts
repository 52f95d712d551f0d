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
let proxy: string | null
let noProxy: string | null
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'registry-trust-'))
  server = new InternalServer('node', join(folder, 'node.sock'), silentLogger)
  ca = proxy = noProxy = null
})
afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

function open(hostCa: string | null): RegistryTrust {
  const hostProxy = { https_proxy: 'http://proxy.example:3128', NO_PROXY: 'internal.example' }
  const get = async (key: string) => ({ ca, proxy, noProxy })[key] as never
  const trust = new RegistryTrust({ hostCa, hostProxy, domain: 'apps.example' }, { get }, server)
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

describe('through which proxies registries are asked', () => {
  it('is what the host says, unless the settings do, and never for what the platform serves itself', async () => {
    const { proxies } = open(null)
    const ofHost = { http: '', https: 'http://proxy.example:3128', noProxy: 'internal.example,apps.example' }
    expect(await proxies()).toEqual(ofHost)
    proxy = 'http://other.example'
    expect(await proxies()).toEqual({ ...ofHost, http: proxy, https: proxy })
    noProxy = '*.corp'
    expect(await proxies()).toEqual({ http: proxy, https: proxy, noProxy: '*.corp,apps.example' })
  })

  it('is told to executors as the settings say it', async () => {
    open(null)
    const told = async () => (await server.fastify.inject('/v1/registry-proxy')).json<object>()
    expect(await told()).toEqual({ proxy: null, noProxy: null })
    proxy = 'http://other.example'
    expect(await told()).toEqual({ proxy, noProxy: null })
  })
})
