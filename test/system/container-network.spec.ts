import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LinuxBackend } from '@croft/backend-linux'
import {
  AlreadyInUseError,
  InvalidSpecError,
  ServiceUnavailableError,
  type Container,
  type ContainerSpec,
  type NetOutRule,
} from '@croft/garden-api'
import { dial, runToEnd } from '@croft/garden-api/conformance'
import { run, waitFor } from '@croft/kit'
import { ask, image, listenIn, makeHome, output, rulesLeft, sh, type TestHome } from './support/backend-rig.js'
import { makeLan, type Lan } from './support/lan.js'

const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let home: TestHome
let lan: Lan
beforeAll(async () => {
  home = await makeHome()
  lan = await makeLan()
})
afterAll(async () => {
  await lan.close()
  await home.clean()
})

/** Kills the nft and ip that stay running for this process. */
function killTools(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const stat = readIfThere(`/proc/${pid}/stat`)
    const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(stat) ?? []
    if ((name === 'nft' || name === 'ip') && Number(parent) === process.pid) process.kill(Number(pid), 'SIGKILL')
  }
}
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // it has just ended
  }
}

/** Lends a container that is gone afterwards. */
async function withContainer<T>(
  backend: LinuxBackend,
  spec: ContainerSpec,
  use: (container: Container) => Promise<T>,
): Promise<T> {
  const container = await backend.create({ ...image, ...spec })
  try {
    return await use(container)
  } finally {
    await backend.destroy(container.handle)
  }
}

describe('the way out of a container', () => {
  let backend: LinuxBackend

  beforeAll(async () => {
    backend = await home.open({ egress: [{ host: lan.target, port: 8080 }], resolvers: [lan.target] })
    await backend.recover()
  })
  afterAll(async () => await backend.close())

  const reachFrom = async (container: Container, targets: string[]): Promise<string[]> =>
    await Promise.all(
      targets.map(async (target) =>
        (await runToEnd(container, sh(ask(target)))).stdout.toString().replace(/^.* ok$/, 'ok'),
      ),
    )
  const reach = async (spec: ContainerSpec, targets: string[]): Promise<string[]> =>
    await withContainer(backend, spec, async (container) => await reachFrom(container, targets))

  it("leads to the Internet and to the platform's own list, not to other private addresses", async () => {
    const targets = [`${lan.public}:9090`, `${lan.target}:8080`, `${lan.target}:9090`]
    expect(await reach({}, targets)).toEqual(['ok', 'ok', 'timeout'])
  })

  it.runIf(isLong)(
    'leads to that list only for those containers it is for, also after a new backend took over',
    async () => {
      const hasEgress = ({ properties }: ContainerSpec): boolean => properties?.['build'] !== undefined
      const options = { egress: [{ host: lan.target, port: 8080 }], resolvers: [lan.target], hasEgress }
      await backend.close()
      backend = await home.open(options)
      await backend.recover()
      const targets = [`${lan.public}:9090`, `${lan.target}:8080`]
      const [app, build] = await Promise.all([
        backend.create(image),
        backend.create({ ...image, handle: 'let-through', properties: { build: '' } }),
      ])
      expect(await reachFrom(app, targets)).toEqual(['ok', 'timeout'])
      expect(await reachFrom(build, targets)).toEqual(['ok', 'ok'])
      await backend.close()
      backend = await home.open(options)
      await backend.recover()
      expect(await reachFrom(await backend.lookup(app.handle), targets)).toEqual(['ok', 'timeout'])
      expect(await reachFrom(await backend.lookup(build.handle), targets)).toEqual(['ok', 'ok'])
      for (const { handle } of [app, build]) await backend.destroy(handle)
      await backend.close()
      backend = await home.open({ egress: options.egress, resolvers: options.resolvers })
      await backend.recover()
    },
  )

  it("hides the container's address behind the host's", async () => {
    await withContainer(backend, {}, async (container) => {
      expect(await output(container, ask(`${lan.public}:9090`))).toMatch(/10\.223\.7\.1 ok$/)
    })
  })

  it('is what its rules say when it has some, and nothing when they are empty', async () => {
    const targets = [`${lan.public}:9090`, `${lan.target}:9090`]
    expect(await reach({ netOut: [] }, targets)).toEqual(['timeout', 'timeout'])
    const rule = { protocol: 'tcp' as const, networks: [{ start: lan.target }], ports: [{ start: 9090 }] }
    expect(await reach({ netOut: [rule] }, targets)).toEqual(['timeout', 'ok'])
  })

  it('gets longer while the container runs, beside the Internet it had', async () => {
    await withContainer(backend, {}, async (container) => {
      const targets = [`${lan.public}:9090`, `${lan.target}:9090`]
      expect(await reachFrom(container, targets)).toEqual(['ok', 'timeout'])
      await container.netOut([{ protocol: 'tcp', networks: [{ start: '10.223.7.0', end: '10.223.7.9' }] }])
      expect(await reachFrom(container, targets)).toEqual(['ok', 'ok'])
    })
  })

  it('tells protocols apart', async () => {
    const udp = `const s = require('dgram').createSocket('udp4'); s.send('x', 9090, '${lan.target}'); s.on('message', (m) => { console.log(m + ''); process.exit() });
      setTimeout(() => { console.log('timeout'); process.exit() }, 400)`
    const tries: [NetOutRule['protocol'], string][] = [
      ['tcp', 'timeout'],
      ['udp', 'ok'],
      ['icmp', 'timeout'],
      ['all', 'ok'],
    ]
    for (const [protocol, expected] of tries)
      await withContainer(backend, { netOut: [{ protocol }] }, async (container) => {
        const { stdout } = await runToEnd(container, { path: 'node', args: ['-e', udp] })
        expect(stdout.toString().trim(), protocol).toMatch(new RegExp(`${expected}$`))
      })
  })

  it('lets through the ICMP that is allowed', async () => {
    /* an echo request (type 8) out of a raw socket; what comes back is counted */
    const ping = `socket(S, 2, 3, 1) or die $!; $m = pack('C C n n n', 8, 0, 0, 7, 1); $sum = 0; $sum += $_ for unpack('n*', $m);
      $sum = ($sum >> 16) + ($sum & 0xffff); substr($m, 2, 2) = pack('n', ~$sum & 0xffff);
      send(S, $m, 0, pack('S n C4 x8', 2, 0, split(/\\./, $ARGV[0]))); vec($r, fileno(S), 1) = 1;
      print select($r, undef, undef, 0.4) ? 'answered' : 'timeout'`
    const tries: [NetOutRule[], string][] = [
      [[{ protocol: 'icmp', icmp: { type: 8, code: 0 } }], 'answered'],
      [[{ protocol: 'icmp' }], 'answered'],
      [[{ protocol: 'icmp', icmp: { type: 13 } }], 'timeout'],
      [[{ protocol: 'tcp' }], 'timeout'],
    ]
    for (const [netOut, expected] of tries)
      await withContainer(backend, { netOut }, async (container) => {
        const { stdout, stderr } = await runToEnd(container, { path: 'perl', args: ['-e', ping, lan.target] })
        expect(stdout.toString() + stderr, JSON.stringify(netOut)).toBe(expected)
      })
  })

  it("never leads to the host's own ports, whatever is allowed", async () => {
    const listener = createServer((socket) => socket.end('secret'))
    listener.listen(0, '0.0.0.0')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    try {
      await withContainer(backend, { netOut: [{ protocol: 'all' }] }, async (container) => {
        const { hostIp } = await container.info()
        const targets = [hostIp, lan.host, '127.0.0.1'].map((address) => `${address}:${port}`)
        expect(await reachFrom(container, targets)).toEqual(['timeout', 'timeout', 'ECONNREFUSED'])
        expect(await reachFrom(container, [`${lan.target}:9090`])).toEqual(['ok'])
      })
    } finally {
      listener.close()
    }
  })

  it("is written to the kernel's log, with the handle, for rules that say so", async () => {
    const rules: NetOutRule[] = [
      { protocol: 'tcp', ports: [{ start: 9090 }], log: true },
      { protocol: 'tcp', ports: [{ start: 8080 }] },
    ]
    await withContainer(backend, { handle: `logs-${home.index}`, netOut: rules }, async (container) => {
      expect(await reachFrom(container, [`${lan.target}:8080`, `${lan.target}:9090`])).toEqual(['ok', 'ok'])
      const lines = (await run('dmesg', [], { timeoutMs: 5000 })).stdout.toString().split('\n')
      const ours = lines.filter((line) => line.includes(`croft ${container.handle} `))
      const { containerIp } = await container.info()
      expect(
        ours.some((line) => line.includes(`SRC=${containerIp} DST=${lan.target}`) && line.includes('DPT=9090')),
      ).toBe(true)
      expect(ours.some((line) => line.includes('DPT=8080'))).toBe(false)
    })
  })

  it('stays as it is while a new backend takes over', async () => {
    const container = await backend.create({ ...image, handle: 'stays' })
    const next = await home.open({ egress: [] })
    await next.recover()
    const same = await next.lookup('stays')
    expect(await reachFrom(same, [`${lan.public}:9090`, `${lan.target}:8080`])).toEqual(['ok', 'timeout'])
    await next.close()
    await backend.setNetwork(home.options.network ?? '')
    await backend.destroy(container.handle)
  })

  it('is opened and closed although nft and ip are killed at it', async () => {
    await withContainer(backend, { netOut: [] }, async (container) => {
      for (let last = 1; last <= 5; last++) {
        const allowed = container.netOut([{ protocol: 'tcp', networks: [{ start: `203.0.113.${last}` }] }])
        killTools()
        await allowed
      }
      const made = backend.create(image)
      killTools()
      await backend.destroy((await made).handle)
      expect(await reachFrom(container, [`${lan.public}:9090`])).toEqual(['timeout'])
      await container.netOut([{ protocol: 'tcp', networks: [{ start: lan.public }] }])
      expect(await reachFrom(container, [`${lan.public}:9090`])).toEqual(['ok'])
    })
    expect(await rulesLeft(home)).toEqual([])
  })

  it('is closed to a forged sender', async () => {
    /* whole packets out of a raw socket: only the one that bears the container's address may pass */
    const send = `socket(S, 2, 3, 255) or die $!; ($to, @from) = map { pack('C4', split(/\\./)) } @ARGV;
      for $from (@from) { $told = join('.', unpack('C4', $from)); $udp = pack('n n n n', 5000, 9091, 8 + length($told), 0) . $told;
      send(S, pack('C C n n n C C n', 0x45, 0, 0, 0, 0, 64, 17, 0) . $from . $to . $udp, 0, pack('S n a4 x8', 2, 0, $to)) or die $! }`
    await withContainer(backend, {}, async (container) => {
      await withContainer(backend, {}, async (neighbour) => {
        const own = (await container.info()).containerIp
        const forged = ['1.2.3.4', lan.host, '127.0.0.1', (await neighbour.info()).containerIp]
        const sent = await runToEnd(container, { path: 'perl', args: ['-e', send, lan.public, ...forged, own] })
        expect(sent.stderr).toBe('')
        await waitFor(async () => lan.heard().includes(own), { what: 'the honest packet', timeoutMs: 5000 })
        expect(lan.heard()).toEqual([own])
      })
    })
  })

  it('resolves names by the resolver of the host, asked at the gateway', async () => {
    await withContainer(backend, {}, async (container) => {
      const { hostIp } = await container.info()
      expect(await output(container, 'cat /etc/resolv.conf')).toBe(`nameserver ${hostIp}\n`)
      expect(await output(container, 'getent ahostsv4 www.example.test | head -1')).toMatch(/^203\.0\.113\.7 /)
      expect(await output(container, 'getent ahostsv4 localhost | head -1')).toMatch(/^127\.0\.0\.1 /)
    })
  })

  it('does not exist in IPv6: none inside, and what comes of it is dropped outside', async () => {
    await withContainer(backend, { handle: 'six' }, async (container) => {
      expect(await output(container, 'cat /proc/net/if_inet6; cat /proc/sys/net/ipv6/conf/all/disable_ipv6')).toBe(
        '1\n',
      )
      const { slot, init } = JSON.parse(await readFile(join(home.dir, 'containers/six/state.json'), 'utf8')) as {
        slot: number
        init: { pid: number }
      }
      const inside = async (...args: string[]): Promise<void> => {
        await run('nsenter', ['-t', String(init.pid), '-n', ...args], { timeoutMs: 5000 })
      }
      /* as if somebody had switched it on */
      await inside('sh', '-c', 'for f in all eth0; do echo 0 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done')
      await inside('ip', '-6', 'address', 'add', 'fd00:c0f::2/64', 'dev', 'eth0', 'nodad')
      await run('ip', ['-6', 'address', 'add', 'fd00:c0f::1/64', 'dev', `c${home.index}-${slot}`, 'nodad'], {
        timeoutMs: 5000,
      })
      const listener = createServer((socket) => socket.end('secret'))
      listener.listen(0, '::')
      await once(listener, 'listening')
      const { port } = listener.address() as AddressInfo
      const reached = async (): Promise<string> =>
        (await runToEnd(container, dial('fd00:c0f::1', port))).stdout.toString()
      try {
        expect(await reached()).toBe('')
        for (const chain of ['check_source', 'ask_host', 'to_host'])
          await run('nft', ['flush', 'chain', 'inet', `croft_${home.index}`, chain], { timeoutMs: 5000 })
        expect(await reached()).toBe('secret')
      } finally {
        listener.close()
        await backend.setNetwork(home.options.network ?? '')
      }
    })
  })
})

describe('the address of a container', () => {
  let backend: LinuxBackend
  let base: string

  beforeAll(async () => {
    backend = await home.open()
    await backend.recover()
    base = (home.options.network ?? '').replace(/\.0\/22$/, '')
  })
  afterAll(async () => await backend.close())

  it('N4: is one of the block that was asked for, which containers share, and whose neighbours may go', async () => {
    const third = Number(base.split('.')[2]) + 1
    const block = `10.222.${third}.0/24`
    const [one, two, three] = await Promise.all(
      [block, block, `10.222.${third}.77/24`].map(async (network) => await backend.create({ ...image, network })),
    )
    if (one === undefined || two === undefined || three === undefined) throw new Error('three containers')
    const addresses = await Promise.all(
      [one, two, three].map(async (container) => (await container.info()).containerIp),
    )
    expect(addresses.toSorted()).toEqual([2, 3, 77].map((last) => `10.222.${third}.${last}`))
    await backend.destroy(one.handle)
    const again = await backend.create({ ...image, network: block })
    for (const container of [two, three, again]) {
      await listenIn(container, 'routed')
      const { containerIp } = await container.info()
      const { stdout } = await run('bash', ['-c', `exec 3<>/dev/tcp/${containerIp}/8080 && cat <&3`], {
        timeoutMs: 5000,
      })
      expect(stdout.toString()).toBe('routed')
      expect(await output(container, ask(`${lan.public}:9090`))).toMatch(/ok$/)
    }
    for (const container of [two, three, again]) await backend.destroy(container.handle)
  })

  it('is refused by name when it cannot be had', async () => {
    const held = await backend.create({ ...image, handle: 'held', network: `${base}.18/28` })
    const refusals: [string, new (...args: never[]) => Error, string][] = [
      [`${base}.18/28`, AlreadyInUseError, `address ${base}.18/28 already in use`],
      [`${base}.18`, AlreadyInUseError, `address ${base}.18 already in use`],
      [`${base}.16/29`, AlreadyInUseError, `${base}.16/29 overlaps ${base}.16/28, which is already in use`],
      [`${base}.17/28`, InvalidSpecError, `${base}.17/28 is the gateway address of ${base}.16/28`],
      [`${base}.31/28`, InvalidSpecError, `${base}.31/28 is the broadcast address of ${base}.16/28`],
      [`${base}.1`, InvalidSpecError, `${base}.1 is the gateway address of`],
      ['10.1.0.0/24', InvalidSpecError, '10.1.0.0/24 is not in this node'],
      ['ten.0.0.1', InvalidSpecError, 'not an IPv4 address or subnet: ten.0.0.1'],
    ]
    for (const [network, type, message] of refusals) {
      const refused = backend.create({ ...image, network })
      await expect(refused).rejects.toThrow(message)
      await expect(refused).rejects.toThrow(type)
      await expect(backend.check({ ...image, network })).rejects.toThrow(message)
    }
    const full = await backend.create({ ...image, network: `${base}.32/30` })
    await expect(backend.create({ ...image, network: `${base}.32/30` })).rejects.toThrow(ServiceUnavailableError)
    await expect(backend.create({ ...image, network: `${base}.32/30` })).rejects.toThrow(`${base}.32/30 are taken`)
    for (const { handle } of [held, full]) await backend.destroy(handle)
  })

  it('is still of its block for the next backend', async () => {
    await backend.create({ ...image, handle: 'blocked', network: `${base}.64/28` })
    const next = await home.open()
    await next.recover()
    await expect(next.create({ ...image, network: `${base}.64/29` })).rejects.toThrow('overlaps')
    await next.destroy('blocked')
    await next.close()
    await backend.destroy('blocked', { ifExists: true })
  })
})
