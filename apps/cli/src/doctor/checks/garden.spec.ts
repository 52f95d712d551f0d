import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '@croft/kit'
import { InvalidSpecError } from '@croft/garden-api'
import { FakeBackend } from '@croft/garden-api/fake'
import { createGardenServer, type GardenServer } from '@croft/garden-api/http'
import { readSettings } from '../../up/settings.js'
import { runCheck, type CheckReport } from '../check.js'
import { garden, lastAddress } from './garden.js'

let folder: string
let backend: FakeBackend
let server: GardenServer
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'garden-check-'))
  backend = new FakeBackend()
  server = createGardenServer({ backend, logger: silentLogger })
})
afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

const found = async (options: Parameters<typeof readSettings>[0]): Promise<CheckReport> =>
  await runCheck(garden, readSettings(options, {}, false))
const address = (): string => `unix:${join(folder, 'g.sock')}`

describe('the check of the container API a platform is told to use', () => {
  it('has nothing to say when containers are our own', async () => {
    expect(await found({})).toMatchObject({ status: 'ok', detail: 'containers are our own' })
  })
  it('names an address where nobody answers, with the remedy', async () => {
    const report = await found({ garden: address() })
    expect(report.status).toBe('failed')
    expect(report.detail).toContain(`the container API at ${address()} cannot be reached`)
    expect(report.remedy).toContain(`./croft garden --listen ${address()}`)
  })
  it('takes one that answers, and says what it refuses', async () => {
    await server.listen({ address: address() })
    expect(await found({ garden: address() })).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('no Dockerfile can be built') as string,
      remedy: 'croft garden --allow-privileged',
    })
  })
  it('refuses addresses that it does not give, and only those', async () => {
    await server.listen({ address: address() })
    backend.inject({ call: 'check', error: new InvalidSpecError("10.9.15.254 is not in this node's range") })
    const report = await found({ garden: address(), gardenNetwork: '10.9.0.0/20' })
    expect(report).toMatchObject({ status: 'failed', remedy: expect.stringContaining('--garden-network') as string })
    expect(report.detail).toContain("gives no addresses of 10.9.0.0/20: 10.9.15.254 is not in this node's range")
  })
  it('reads the token, and refuses a file that others may read', async () => {
    const token = join(folder, 'token')
    writeFileSync(token, 'long-enough-to-be-a-token\n', { mode: 0o600 })
    const tcp = await server.listen({ address: 'tcp:127.0.0.1:0', token: 'long-enough-to-be-a-token' })
    expect((await found({ garden: tcp, gardenTokenFile: token })).status).toBe('warning')
    expect((await found({ garden: tcp })).status).toBe('failed')
    writeFileSync(join(folder, 'open'), 'long-enough-to-be-a-token\n', { mode: 0o644 })
    expect((await found({ garden: tcp, gardenTokenFile: join(folder, 'open') })).remedy).toContain('chmod 600')
  })
  it.each([
    ['10.254.0.0/20', '10.254.15.254'],
    ['10.9.0.8/29', '10.9.0.14'],
  ])('asks for the last address of %s: %s', (network, last) => {
    expect(lastAddress(network)).toBe(last)
  })
})
