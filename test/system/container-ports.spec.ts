import { createServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type LinuxBackend } from '@croft/backend-linux'
import { AlreadyInUseError, ServiceUnavailableError, type Container } from '@croft/garden-api'
import { bareEnv, run } from '@croft/kit'
import {
  ask,
  image,
  leftovers,
  lib,
  listenIn,
  makeHome,
  output,
  root,
  rulesLeft,
  type TestHome,
} from './support/backend-rig.js'
import { makeLan, type Lan } from './support/lan.js'

/** Ports no other spec takes, outside of what the kernel gives away by itself. */
const POOL = { first: 61_901, last: 61_904 }

async function listenOnHost(host: string, port = 0): Promise<Server> {
  const server = createServer((socket) => socket.end('the host')).listen(port, host)
  await once(server, 'listening')
  return server
}
const portOf = (server: Server): number => (server.address() as AddressInfo).port
const hostPortOf = async (container: Container): Promise<number> =>
  (await container.info()).mappedPorts[0]?.hostPort ?? 0

describe('a port of the host that leads into a container', () => {
  let home: TestHome
  let backend: LinuxBackend
  let lan: Lan

  beforeAll(async () => {
    home = await makeHome()
    lan = await makeLan()
  })
  beforeEach(async () => {
    backend = await home.open({ portPool: POOL })
    await backend.recover()
  })
  afterEach(async () => {
    for (const { handle } of await backend.containers()) await backend.destroy(handle)
    await backend.close()
    expect(await leftovers(home)).toEqual([])
  })
  afterAll(async () => {
    await lan.close()
    await home.clean()
  })

  const fromLan = async (port: number): Promise<string | null> =>
    await lan.run('timeout', '1', 'bash', '-c', 'exec 3<>"/dev/tcp/$1/$2" && cat <&3', 'bash', lan.host, String(port))

  it('is reached from another host, which the container sees as who it is, until the container is gone', async () => {
    const container = await backend.create({ ...image, netIn: [{ containerPort: 8080 }] })
    const hostPort = await hostPortOf(container)
    const script = `require('net').createServer((s) => s.end(s.remoteAddress)).listen(8080, () => console.log('up'))`
    await container.run({ path: 'node', args: ['-e', script], id: 'says-who' })
    await expect.poll(async () => await fromLan(hostPort), { timeout: 5000 }).toContain(lan.target)
    await backend.destroy(container.handle)
    expect(await fromLan(hostPort)).toBeNull()
  })

  it("is not the loopback's, where the host's own services are", async () => {
    const container = await backend.create({ ...image, netIn: [{ containerPort: 8080 }] })
    await listenIn(container, 'inside')
    const hostPort = await hostPortOf(container)
    const said = run('bash', ['-c', `exec 3<>/dev/tcp/127.0.0.1/${hostPort} && cat <&3`], { timeoutMs: 2000 })
    await expect(said).rejects.toThrow('refused')
  })

  it('does not open the port in the container to those that ask for it directly', async () => {
    const container = await backend.create({ ...image, netIn: [{ containerPort: 8080 }] })
    await listenIn(container, 'inside')
    const { containerIp } = await container.info()
    await lan.run('ip', 'route', 'add', containerIp, 'via', lan.host)
    const direct = await lan.run('timeout', '1', 'bash', '-c', `exec 3<>/dev/tcp/${containerIp}/8080 && cat <&3`)
    expect(direct).toBeNull()
    const neighbour = await backend.create(image)
    expect(await output(neighbour, ask(`${containerIp}:8080`))).toBe('timeout')
  })

  it.each(['127.0.0.1', '0.0.0.0', '::'])('is none that somebody on the host listens on, at %s', async (address) => {
    const server = await listenOnHost(address)
    try {
      const netIn = [{ hostPort: portOf(server) }]
      await expect(backend.check({ ...image, netIn })).rejects.toThrow(AlreadyInUseError)
      await expect(backend.create({ ...image, netIn })).rejects.toThrow(`host port ${portOf(server)} already in use`)
      const container = await backend.create(image)
      await expect(container.netIn({ hostPort: portOf(server) })).rejects.toThrow(AlreadyInUseError)
      expect((await container.info()).mappedPorts).toEqual([])
    } finally {
      server.close()
    }
  })

  it('is chosen from the pool, past those in use, until it is exhausted', async () => {
    const server = await listenOnHost('127.0.0.1', POOL.first + 1)
    try {
      const container = await backend.create({ ...image, netIn: [{}, {}] })
      expect((await container.info()).mappedPorts.map((port) => port.hostPort)).toEqual([POOL.first, POOL.first + 2])
      await container.netIn({})
      await expect(container.netIn({})).rejects.toThrow(ServiceUnavailableError)
      await expect(backend.create({ ...image, handle: 'late', netIn: [{}] })).rejects.toThrow('port pool is exhausted')
      await expect(backend.lookup('late')).rejects.toThrow('unknown handle')
      await backend.destroy(container.handle)
      await backend.create({ ...image, handle: 'late', netIn: [{}] })
    } finally {
      server.close()
    }
  })

  it('is not chosen among those the kernel gives away by itself', async () => {
    const [first = 0, last = 0] = (await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'))
      .split(/\s+/)
      .map(Number)
    expect([first, last].every((port) => port > 1024 && port < 65_535)).toBe(true)
    await backend.close()
    backend = await home.open({ portPool: { first: last - 3, last: last + 1 } })
    await backend.recover()
    expect(await hostPortOf(await backend.create({ ...image, netIn: [{}] }))).toBe(last + 1)
    await expect(backend.create({ ...image, netIn: [{}] })).rejects.toThrow('port pool is exhausted')
  })

  it('is one home’s only', async () => {
    const other = await makeHome()
    const second = await other.open({ portPool: POOL })
    try {
      await second.recover()
      const mine = await backend.create({ ...image, netIn: [{}, {}] })
      const theirs = await second.create({ ...image, netIn: [{}, {}] })
      const [ours, others] = [await mine.info(), await theirs.info()].map((info) =>
        info.mappedPorts.map((port) => port.hostPort),
      )
      expect(new Set([...(ours ?? []), ...(others ?? [])])).toEqual(new Set([61_901, 61_902, 61_903, 61_904]))
      await expect(second.create({ ...image, netIn: [{}] })).rejects.toThrow('port pool is exhausted')
      const hostPort = ours?.[0] ?? 0
      await expect(second.create({ ...image, netIn: [{ hostPort }] })).rejects.toThrow(AlreadyInUseError)
      await expect(theirs.netIn({ hostPort })).rejects.toThrow(`host port ${hostPort} already in use`)
      await backend.destroy(mine.handle)
      expect(await theirs.netIn({ hostPort, containerPort: 8080 })).toEqual({ hostPort, containerPort: 8080 })
    } finally {
      await second.close()
      await other.clean()
    }
    expect(await rulesLeft(other)).toEqual([])
  })

  it("is another home's when that got it while the kernel's tables were emptied, and stays so", async () => {
    const other = await makeHome()
    const second = await other.open({ portPool: POOL })
    try {
      await second.recover()
      const mine = await backend.create({ ...image, handle: 'bereft', netIn: [{ containerPort: 8080 }] })
      const hostPort = await hostPortOf(mine)
      await run('nft', ['delete', 'element', 'inet', 'croft_ports', 'taken', `{ ${hostPort} }`], { timeoutMs: 5000 })
      const theirs = await second.create({ ...image, netIn: [{ hostPort, containerPort: 8080 }] })
      await listenIn(theirs, 'theirs')
      await backend.close()
      backend = await home.open({ portPool: POOL })
      expect((await backend.recover()).adopted).toEqual(['bereft'])
      expect(await fromLan(hostPort)).toBe('theirs')
      await backend.destroy('bereft')
      expect(await fromLan(hostPort)).toBe('theirs')
      expect(await rulesLeft(other)).toContain(`reserved ${hostPort}`)
    } finally {
      await second.close()
      await other.clean()
    }
  })

  it('is free again after a backend died while it made the container', async () => {
    const { images: _images, logger: _logger, ...options } = home.options
    const script = `
      import { createLinuxBackend } from '${lib('backend-linux')}'
      import { silentLogger } from '${lib('kit')}'
      const images = { resolve: async () => ({ lowerPaths: ['${root}'], env: [] }) }
      const backend = await createLinuxBackend({ ...${JSON.stringify(options)}, images, logger: silentLogger })
      await backend.recover()
      await backend.create({ handle: 'victim', image: { uri: 'x' }, netIn: [{ hostPort: ${POOL.last} }] })`
    for (const point of ['container-journaled', 'container-connected']) {
      await backend.close()
      const died = run(process.execPath, ['--input-type=module', '-e', script], {
        timeoutMs: 20_000,
        env: bareEnv({ CROFT_FAILPOINT: point }),
      })
      await expect(died).rejects.toThrow('killed by SIGKILL')
      expect(await rulesLeft(home)).toContain(`reserved ${POOL.last}`)
      backend = await home.open({ portPool: POOL })
      await backend.recover()
      expect(await rulesLeft(home)).toEqual([])
      const next = await backend.create({ ...image, netIn: [{ hostPort: POOL.last }] })
      await backend.destroy(next.handle)
    }
  })
})
