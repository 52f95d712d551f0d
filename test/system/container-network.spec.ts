import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LinuxBackend } from '@croft/backend-linux'
import { type ContainerSpec } from '@croft/garden-api'
import { runToEnd } from '@croft/garden-api/conformance'
import { start } from '@croft/kit'
import { ask, image, ip, makeHome, sh, type TestHome } from './support/backend-rig.js'

describe('the way out of a container', () => {
  /** A network of its own beside the host's, standing for a company's private one. */
  const LAN = 'croft-spec-lan'
  const TARGET = '10.223.7.2'
  const PUBLIC = '203.0.113.250'
  let home: TestHome
  let backend: LinuxBackend
  let server: ReturnType<typeof start>

  const removeLan = async (): Promise<void> => {
    await ip('netns', 'delete', LAN).catch(() => undefined)
    await ip('link', 'delete', 'croft-lan0').catch(() => undefined)
  }

  beforeAll(async () => {
    home = await makeHome()
    await removeLan()
    await ip('netns', 'add', LAN)
    await ip('link', 'add', 'croft-lan0', 'type', 'veth', 'peer', 'name', 'lan1', 'netns', LAN)
    await ip('address', 'add', '10.223.7.1/24', 'dev', 'croft-lan0')
    await ip('link', 'set', 'croft-lan0', 'up')
    for (const address of [`${TARGET}/24`, `${PUBLIC}/32`])
      await ip('-n', LAN, 'address', 'add', address, 'dev', 'lan1')
    await ip('-n', LAN, 'link', 'set', 'lan1', 'up')
    await ip('route', 'add', `${PUBLIC}/32`, 'via', TARGET)
    const script =
      "for (const p of [8080, 9090]) require('net').createServer((s) => s.end(s.remoteAddress + ' ok')).listen(p, () => console.log('up'))"
    server = start('ip', ['netns', 'exec', LAN, process.execPath, '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (server.stdout !== null) await once(server.stdout, 'data')
    backend = await home.open({ egress: [{ host: TARGET, port: 8080 }] })
    await backend.recover()
  })
  afterAll(async () => {
    server.kill('SIGKILL')
    await removeLan()
    await backend.close()
    await home.clean()
  })

  const reach = async (spec: ContainerSpec, targets: string[]): Promise<string[]> => {
    const container = await backend.create({ ...image, ...spec })
    try {
      return await Promise.all(
        targets.map(async (target) =>
          (await runToEnd(container, sh(ask(target)))).stdout.toString().replace(/^.* ok$/, 'ok'),
        ),
      )
    } finally {
      await backend.destroy(container.handle)
    }
  }

  it("leads to the Internet and to the platform's own list, not to other private addresses", async () => {
    expect(await reach({}, [`${PUBLIC}:9090`, `${TARGET}:8080`, `${TARGET}:9090`])).toEqual(['ok', 'ok', 'timeout'])
  })

  it("hides the container's address behind the host's", async () => {
    const container = await backend.create(image)
    const { stdout } = await runToEnd(container, sh(ask(`${PUBLIC}:9090`)))
    expect(stdout.toString()).toMatch(/10\.223\.7\.1 ok$/)
    await backend.destroy(container.handle)
  })

  it('is what its rules say when it has some, and nothing when they are empty', async () => {
    const targets = [`${PUBLIC}:9090`, `${TARGET}:9090`]
    expect(await reach({ netOut: [] }, targets)).toEqual(['timeout', 'timeout'])
    const rule = { protocol: 'tcp' as const, networks: [{ start: TARGET }], ports: [{ start: 9090 }] }
    expect(await reach({ netOut: [rule] }, targets)).toEqual(['timeout', 'ok'])
  })

  it('stays as it is while a new backend takes over', async () => {
    const container = await backend.create({ ...image, handle: 'stays' })
    const next = await home.open({ egress: [] })
    await next.recover()
    const same = await next.lookup('stays')
    expect((await runToEnd(same, sh(ask(`${PUBLIC}:9090`)))).stdout.toString()).toContain('ok')
    expect((await runToEnd(same, sh(ask(`${TARGET}:8080`)))).stdout.toString()).toBe('timeout')
    await next.close()
    await backend.setNetwork(home.options.network ?? '')
    await backend.destroy(container.handle)
  })

  it('is closed to a forged sender', async () => {
    const container = await backend.create(image)
    const forged =
      "const d = require('dgram').createSocket('udp4'); d.bind(1, '1.2.3.4', () => console.log('bound')); d.on('error', (e) => console.log(e.code))"
    expect((await runToEnd(container, { path: 'node', args: ['-e', forged] })).stdout.toString()).toBe(
      'EADDRNOTAVAIL\n',
    )
    await backend.destroy(container.handle)
  })
})
