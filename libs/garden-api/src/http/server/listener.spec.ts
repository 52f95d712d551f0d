import { link, mkdtemp, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '@croft/kit'
import { GardenError, ServiceUnavailableError } from '../../errors.js'
import { FakeBackend } from '../../fake/index.js'
import { createGardenClient } from '../client/client.js'
import { makeCertificates } from '@croft/kit/testing/certificates'
import { call, RawConnection } from '../testing/raw.js'
import type { ListenOptions } from './listener.js'
import { createGardenServer, type GardenServer } from './server.js'

let folder: string
const servers: GardenServer[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'croft-listen-'))
})
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function listen(options: ListenOptions): Promise<string> {
  const server = createGardenServer({ backend: new FakeBackend(), logger: silentLogger })
  servers.push(server)
  return await server.listen(options)
}
const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)
const fetchOf = async (address: string, headers: Record<string, string> = {}): Promise<number> =>
  (await fetch(`${address.replace('tcp:', 'http://')}/capacity`, { headers })).status

describe('a unix socket', () => {
  it('is for its owner alone, or for a group as well', async () => {
    const own = join(folder, 'own.sock')
    await listen({ address: `unix:${own}` })
    expect(await modeOf(own)).toBe('600')
    const shared = join(folder, 'shared.sock')
    const gid = process.getgid?.() ?? 0
    await listen({ address: `unix:${shared}`, gid })
    expect([await modeOf(shared), (await stat(shared)).gid]).toEqual(['660', gid])
  })

  it('that a dead server left is replaced, one with a listener is not, nor is a file', async () => {
    const path = join(folder, 'stale.sock')
    const alive = await listen({ address: `unix:${path}` })
    await expect(listen({ address: `unix:${path}` })).rejects.toThrow(`there is a server that listens at ${path}`)
    expect((await call(alive, 'GET', '/ping')).status).toBe(200)
    const file = join(folder, 'file')
    await writeFile(file, 'precious')
    await expect(listen({ address: `unix:${file}` })).rejects.toThrow(`there is something that is no socket at ${file}`)
    expect((await stat(file)).size).toBe(8)
  })

  it('left by a server that was killed is taken over', async () => {
    const path = join(folder, 'killed.sock')
    const dead = createServer()
    await new Promise<void>((resolve) => dead.listen(path, resolve))
    // node removes the file when it closes; a kill does not
    await link(path, `${path}.kept`)
    await new Promise((resolve) => dead.close(resolve))
    await link(`${path}.kept`, path)
    await unlink(`${path}.kept`)
    expect((await call(await listen({ address: `unix:${path}` }), 'GET', '/ping')).status).toBe(200)
  })

  it('is gone after an orderly close, in which a running call ends well', async () => {
    const path = join(folder, 'closing.sock')
    const backend = new FakeBackend()
    backend.inject({ call: 'capacity', delayMs: 50 })
    const server = createGardenServer({ backend, logger: silentLogger })
    const address = await server.listen({ address: `unix:${path}` })
    const running = call(address, 'GET', '/capacity')
    while (!backend.calls.includes('capacity')) await new Promise((resolve) => setImmediate(resolve))
    await server.close()
    expect((await running).status).toBe(200)
    await expect(stat(path)).rejects.toThrow('ENOENT')
    await server.close()
  })
})

describe('a TCP address', () => {
  it.each(['tcp:0.0.0.0:0', 'tcp:10.0.0.1:0', 'tcp:[::]:0', 'tcp:example.org:0'])(
    '%s is refused when it is open',
    async (address) => {
      await expect(listen({ address })).rejects.toThrow(`refusing to listen on ${address}`)
      await expect(
        listen({ address, tls: makeCertificates().server }), // encrypted, but anybody may call
      ).rejects.toThrow(GardenError)
    },
  )

  it('of loopback is open to programs, and tells its port', async () => {
    const address = await listen({ address: 'tcp:127.0.0.1:0' })
    expect(address).toMatch(/^tcp:127\.0\.0\.1:\d+$/)
    expect(await fetchOf(address, { 'sec-fetch-mode': 'cors' })).toBe(200)
    expect((await createGardenClient({ address }).capacity()).maxContainers).toBe(512)
  })

  it('of loopback answers no web page, whatever name the page gives it', async () => {
    const address = await listen({ address: 'tcp:127.0.0.1:0' })
    const port = Number(address.split(':')[2])
    const answerTo = async (lines: string): Promise<string> => {
      const connection = await RawConnection.open({ host: '127.0.0.1', port })
      connection.write(`POST /containers HTTP/1.1\r\n${lines}Content-Length: 2\r\nConnection: close\r\n\r\n{}`)
      return (await connection.untilEnd()).body
    }
    expect(await answerTo('Host: localhost\r\nOrigin: https://evil.example\r\n')).toContain('"Code":"from-web"')
    expect(await answerTo('Host: evil.example:7777\r\n')).toContain('"Code":"from-web"')
    expect(await answerTo('Host: localhost\r\nSec-Fetch-Site: cross-site\r\n')).toContain('"Code":"from-web"')
    expect(await answerTo('Host: api\r\n')).toContain('"Handle"')
  })

  it('with a token serves who sends it, by streams too', async () => {
    const address = await listen({ address: 'tcp:0.0.0.0:0', token: 'open sesame' })
    const local = address.replace('0.0.0.0', '127.0.0.1')
    expect(await fetchOf(local)).toBe(401)
    expect(await fetchOf(local, { authorization: 'Bearer wrong' })).toBe(401)
    expect(await fetchOf(local, { authorization: 'Bearer open sesame' })).toBe(200)
    const client = createGardenClient({ address: local, token: 'open sesame' })
    const container = await client.create({})
    expect((await (await container.run({ path: 'exit', args: ['3'] })).wait()).exitCode).toBe(3)
    await expect(createGardenClient({ address: local, token: 'no' }).create({})).rejects.toMatchObject({
      code: 'unauthorized',
      status: 401,
    })
  })

  it('with mutual TLS serves who shows a certificate, by streams too', async () => {
    const { ca, server, client } = makeCertificates()
    const address = await listen({ address: 'tcp:127.0.0.1:0', tls: { ...server, ca } })
    const known = createGardenClient({ address, tls: { ca, ...client } })
    const container = await known.create({})
    expect((await (await container.run({ path: 'exit', args: ['4'] })).wait()).exitCode).toBe(4)
    await expect(createGardenClient({ address, tls: { ca } }).create({})).rejects.toThrow(ServiceUnavailableError)
    const { client: stranger } = makeCertificates()
    await expect(createGardenClient({ address, tls: { ca, ...stranger } }).create({})).rejects.toThrow(
      ServiceUnavailableError,
    )
    await expect(createGardenClient({ address }).create({})).rejects.toThrow(ServiceUnavailableError)
  })
})

describe('an address', () => {
  it.each(['', 'garden', 'unix:relative', 'tcp:localhost', 'tcp:host:99999', 'tcp:::1:80', 'http://localhost:80'])(
    'is not %j',
    async (address) => {
      await expect(listen({ address })).rejects.toThrow('not an address')
    },
  )
})
