import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  buildShim,
  cleanHome,
  createLinuxBackend,
  releaseHomeIndex,
  reserveHomeIndex,
  type LinuxBackend,
  type LinuxBackendOptions,
} from '@croft/backend-linux'
import {
  ContainerNotFoundError,
  ServiceUnavailableError,
  UnrecoverableError,
  type Container,
  type ContainerSpec,
} from '@croft/garden-api'
import { describeBackend, runToEnd, shellCommands, Sink, waitForLog } from '@croft/garden-api/conformance'
import * as fc from 'fast-check'
import { bareEnv, run, silentLogger, start, waitFor } from '@croft/kit'
import { makeHostRoot } from './support/host-root.js'

/** A home of this spec's own: index, folders, an address range nobody else has, and a root file system. */
interface TestHome {
  dir: string
  index: number
  options: LinuxBackendOptions
  open(more?: Partial<LinuxBackendOptions>): Promise<LinuxBackend>
  clean(): Promise<void>
}

/** Shared by all homes of this file: the root file system and the compiled shim. */
const shared = await mkdtemp(`/tmp/backend-spec-${process.pid}-shared-`)
const root = join(shared, 'root')
await makeHostRoot(root)
const shimPath = await buildShim({ cacheDir: shared })
afterAll(async () => await rm(shared, { recursive: true, force: true }))

const foldersOf = (dir: string): Pick<LinuxBackendOptions, 'depotDir' | 'runDir' | 'runcRoot'> => ({
  depotDir: join(dir, 'containers'),
  runDir: join(dir, 'run'),
  runcRoot: join(dir, 'runc'),
})

/** Takes down what a run of this file left that was killed: its homes bear its process id. */
async function sweep(): Promise<void> {
  const running = await readdir('/proc')
  for (const name of await readdir('/tmp')) {
    const pid = /^backend-spec-(\d+)-/.exec(name)?.[1]
    if (pid === undefined || running.includes(pid)) continue
    const dir = join('/tmp', name)
    if ((await readdir(dir)).includes('k')) {
      await cleanHome({ index: await reserveHomeIndex(dir), ...foldersOf(dir) })
      await releaseHomeIndex(dir)
    }
    await rm(dir, { recursive: true, force: true })
  }
}
await sweep()

async function makeHome(): Promise<TestHome> {
  const dir = await mkdtemp(`/tmp/backend-spec-${process.pid}-`)
  const index = await reserveHomeIndex(dir)
  const options = {
    index,
    ...foldersOf(dir),
    shimPath,
    network: `10.222.${index * 4}.0/22`,
    images: { resolve: async (uri: string) => ({ lowerPaths: [uri.replace('raw://', '')], env: ['IMAGE=yes'] }) },
    logger: silentLogger,
  }
  return {
    dir,
    index,
    options,
    open: async (more = {}) => await createLinuxBackend({ ...options, ...more }),
    clean: async () => {
      await cleanHome(options)
      await releaseHomeIndex(dir)
      await rm(dir, { recursive: true, force: true })
    },
  }
}

const image: ContainerSpec = { image: { uri: `raw://${root}` } }
const sh = (script: string): { path: string; args: string[] } => ({ path: '/bin/sh', args: ['-c', script] })

/** A shell command that prints what a port says, or why it says nothing. */
const ask = (target: string): string => {
  const [host, port] = target.split(':')
  const script = `const s = require('net').connect(${port}, '${host}'); s.setTimeout(400, () => { console.log('timeout'); process.exit() });
    s.on('error', (e) => console.log(e.code)); s.pipe(process.stdout)`
  return `node -e "${script}" | tr -d '\\n'`
}

const ip = async (...args: string[]): Promise<void> => {
  await run('ip', args, { timeoutMs: 5000 })
}

const output = async (container: Container, script: string, user = 'root'): Promise<string> => {
  const { stdout, stderr } = await runToEnd(container, { ...sh(script), user })
  return stdout.toString() + stderr
}

const lib = (name: string): string => join(import.meta.dirname, '../../libs', name, 'dist/index.js')

/** Starts a server on port 8080 in a container that says one thing to everybody. */
async function listenIn(container: Container, text: string): Promise<void> {
  const script = `require('net').createServer((s) => s.end('${text}')).listen(8080, () => console.log('listening'))`
  const process = await container.run({ path: 'node', args: ['-e', script] })
  await waitForLog(container, process.id, 'listening')
}

/** Everything on the host that bears the index of a home, beyond its reservation. */
async function leftovers(home: TestHome): Promise<string[]> {
  const links = (await readdir('/sys/class/net')).filter((name) => name.startsWith(`c${home.index}-`))
  const groups: string[] = []
  for (const controller of await readdir('/sys/fs/cgroup')) {
    const dir = `/sys/fs/cgroup/${controller}/croft/${home.index}`
    for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
      if (entry.isDirectory() && entry.name !== '_shims') groups.push(join(dir, entry.name))
    }
  }
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(home.dir))
  const depots = await readdir(join(home.dir, 'containers')).catch(() => [])
  const sockets = await readdir(join(home.dir, 'run')).catch(() => [])
  const loops = (
    await run('losetup', ['--noheadings', '--list', '--output', 'BACK-FILE'], { timeoutMs: 5000 })
  ).stdout.toString()
  return [
    ...links,
    ...groups,
    ...mounts,
    ...depots,
    ...sockets,
    ...loops.split('\n').filter((line) => line.includes(home.dir)),
  ]
}

describeBackend(
  'Linux',
  async () => {
    const home = await makeHome()
    return { backend: await home.open(), reopen: async () => await home.open(), clean: async () => await home.clean() }
  },
  { commands: shellCommands, base: image, user: 'alice', hasKernel: true },
)

describe('a container on this host', () => {
  let home: TestHome
  let backend: LinuxBackend
  let first: Container
  let second: Container

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
    first = await backend.create({
      ...image,
      handle: 'first',
      limits: { memory: { limitBytes: 128 << 20 }, pids: { max: 128 } },
    })
    second = await backend.create({ ...image, handle: 'second' })
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  it('has a root that is nobody on the host, also in what it writes', async () => {
    const process = await first.run({ ...sh('exec sleep 1000'), id: 'root-sleeper' })
    const pid = (await first.processes()).find((one) => one.id === 'root-sleeper')?.pid
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])
    expect(uid).toBeGreaterThanOrEqual(100_000)
    await process.signal(9)
    expect(await output(first, 'id -u')).toBe('0\n')
  })

  it('sees its own processes only', async () => {
    expect(Number(await output(first, 'ls -d /proc/[0-9]* | wc -l'))).toBeLessThan(8)
    const secret = await second.run({ ...sh('exec sleep 987654'), id: 'secret' })
    expect(await output(first, 'cat /proc/[0-9]*/cmdline')).not.toContain('987654')
    await secret.signal(9)
  })

  it("reaches neither the host's ports, its gateway's, private ranges nor another container", async () => {
    const listener = createServer((socket) => socket.end('secret'))
    listener.listen(0, '0.0.0.0')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    const hostAddress = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === 'IPv4' && !one.internal)?.address
    const { containerIp, hostIp } = await second.info()
    await listenIn(second, 'secret')
    const targets = [
      `${hostIp}:${port}`,
      `${hostAddress ?? hostIp}:${port}`,
      `${containerIp}:8080`,
      '169.254.169.254:80',
      '10.0.0.1:80',
    ]
    try {
      expect(await output(second, ask('127.0.0.1:8080'))).toBe('secret')
      for (const target of targets) expect(await output(first, ask(target)), target).toMatch(/^(timeout|E[A-Z]+)$/)
      expect(await output(first, ask(`127.0.0.1:${port}`))).toBe('ECONNREFUSED')
    } finally {
      listener.close()
    }
  })

  it('is reached by the host at its address', async () => {
    await listenIn(first, 'hello from first')
    const { containerIp } = await first.info()
    const socket = connect(8080, containerIp)
    const said: Buffer[] = []
    for await (const part of socket) said.push(part as Buffer)
    expect(Buffer.concat(said).toString()).toBe('hello from first')
  })

  it.each([
    ['mounting', 'mount -t tmpfs none /mnt || mount --bind / /tmp'],
    ['new namespaces', 'unshare -U true || unshare -m true || unshare -n true'],
    ['device nodes', 'mknod /tmp/disk b 254 0 && cat /tmp/disk'],
    ['kernel settings', 'echo 1 > /proc/sys/kernel/core_pattern || echo b > /proc/sysrq-trigger'],
    [
      'writing cgroups',
      'touch /sys/fs/cgroup/x /sys/fs/cgroup/memory/x || echo 1 > /sys/fs/cgroup/memory/memory.limit_in_bytes',
    ],
    ['its platform files', 'echo x > /tmp/garden-init || echo x > /etc/resolv.conf || rm /etc/hosts'],
    ['the kernel log', 'dmesg'],
    ['the first process', 'cat /proc/1/environ || readlink /proc/1/exe || readlink /proc/1/fd/3 || cat /proc/1/mem'],
    ['the host name', 'hostname pwned'],
  ])('is refused %s', async (_what, script) => {
    const { exit, stdout } = await runToEnd(first, sh(`mkdir -p /mnt; ${script}`))
    expect([exit.exitCode === 0, stdout.toString()]).toEqual([false, ''])
  })

  it('cannot kill its first process, and survives trying', async () => {
    await output(first, 'kill -9 1; kill -TERM 1')
    expect(await output(first, 'echo alive')).toBe('alive\n')
  })

  it('holds a fork bomb while its neighbour works on', async () => {
    const bomb = await first.run({
      path: '/bin/bash',
      args: ['-c', 'b() { b | b & }; b; sleep 1000'],
      id: 'bomb',
      user: 'alice',
    })
    await waitFor(async () => (await first.metrics()).pids.current > 100, {
      what: 'the bomb to fill its limit',
      timeoutMs: 10_000,
    })
    expect((await first.metrics()).pids.current).toBeLessThanOrEqual(128)
    expect(await output(second, 'echo fine')).toBe('fine\n')
    await first.stop({ kill: true })
    await bomb.wait()
    expect(await output(first, 'echo again')).toBe('again\n')
  })

  it("shows a mapped tree with the tree's own ids, whoever the container is on the host", async () => {
    const tree = join(home.dir, 'tree')
    await mkdir(tree)
    await run('chown', ['1001:1001', tree], { timeoutMs: 5000 })
    const bindMounts = [{ srcPath: tree, dstPath: '/data', mode: 'rw' as const, isIdmapped: true }]
    const container = await backend.create({ ...image, bindMounts })
    try {
      expect(await output(container, 'touch /data/mine; stat -c %u:%g /data/mine', 'alice')).toBe('1001:1001\n')
      expect((await run('stat', ['-c', '%u:%g', join(tree, 'mine')], { timeoutMs: 5000 })).stdout.toString()).toBe(
        '1001:1001\n',
      )
    } finally {
      await backend.destroy(container.handle)
    }
  })

  it("keeps what is changed over layers in the upper directory, with the tree's own ids", async () => {
    const [lower, upper, work] = ['low', 'up', 'wk'].map((name) => join(home.dir, 'over', name))
    if (lower === undefined || upper === undefined || work === undefined) throw new Error('three paths')
    for (const path of [lower, upper, work]) await mkdir(path, { recursive: true })
    await run(
      'sh',
      ['-c', 'echo old > "$1/kept"; echo old > "$1/changed"; chown -R 1001:1001 "$1" "$2"', 'sh', lower, upper],
      { timeoutMs: 5000 },
    )
    const bindMounts = [
      { srcPath: upper, workPath: work, lowerPaths: [lower], dstPath: '/layers', mode: 'rw' as const },
    ]
    const container = await backend.create({ ...image, bindMounts })
    try {
      expect(
        await output(container, 'cd /layers && cat kept && echo new > changed && mkdir made && rm kept && ls', 'alice'),
      ).toBe('old\nchanged\nmade\n')
      const listed = await run('stat', ['-c', '%n %u', 'changed', 'made'], { cwd: upper, timeoutMs: 5000 })
      expect(listed.stdout.toString()).toBe('changed 1001\nmade 1001\n')
      expect(await readFile(join(lower, 'changed'), 'utf8')).toBe('old\n')
    } finally {
      await backend.destroy(container.handle)
    }
  })
})

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

describe('the index of a home', () => {
  it('is its own, stays the same until it is given back, and is another for a home of an earlier boot', async () => {
    const homes = await Promise.all([1, 2].map(async () => await mkdtemp(`/tmp/backend-spec-${process.pid}-`)))
    const [one, two] = homes as [string, string]
    try {
      const first = await reserveHomeIndex(one)
      const second = await reserveHomeIndex(two)
      expect(second).not.toBe(first)
      expect(await reserveHomeIndex(one)).toBe(first)
      expect(await readFile(join(one, 'k'), 'utf8')).toMatch(new RegExp(`^${first} [0-9a-f-]{36}\n$`))
      await releaseHomeIndex(one)
      await releaseHomeIndex(one)
      await writeFile(join(one, 'k'), `${second} 00000000-0000-0000-0000-000000000000\n`)
      expect(await reserveHomeIndex(one)).not.toBe(second)
    } finally {
      for (const dir of homes) {
        await releaseHomeIndex(dir)
        await rm(dir, { recursive: true, force: true })
      }
    }
  })
})

describe('a hostile image', () => {
  let home: TestHome
  let backend: LinuxBackend

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  it.each([
    ['/proc is a link to the host', 'rm -rf proc; ln -s /etc proc'],
    ['/dev is a link to the host', 'rm -rf dev; ln -s /etc dev'],
    ['/sys is a link out of the root', 'rm -rf sys; ln -s ../../../../etc sys'],
    ['/etc/resolv.conf is a link to the host', 'ln -s /etc/shadow etc/resolv.conf'],
    ['/etc/hosts is a link out of the root', 'ln -s ../../../../../../../../../tmp/croft-escaped etc/hosts'],
    ['/tmp is a link to a folder of the host', 'rm -rf tmp; ln -s /root tmp'],
    ['/dev/null is a file', 'mkdir -p dev; echo x > dev/null'],
    ['/etc/passwd is a pipe', 'rm etc/passwd; mkfifo etc/passwd'],
  ])('does the host no harm when %s', async (_what, script) => {
    const evil = join(home.dir, 'evil')
    await run(
      'sh',
      ['-c', `rm -rf "$2" && cp -a "$1" "$2" && cd "$2" && rm usr/bin/node && ${script}`, 'sh', root, evil],
      { timeoutMs: 20_000 },
    )
    const before = await run(
      'sh',
      [
        '-c',
        'cksum /etc/passwd /etc/shadow /etc/hosts /etc/resolv.conf; ls -la /root /tmp | grep -c croft-escaped || true; mount | wc -l',
      ],
      { timeoutMs: 5000 },
    )
    try {
      const container = await backend.create({ image: { uri: `raw://${evil}` }, handle: 'evil' })
      const { stdout } = await runToEnd(container, {
        ...sh('cat /etc/shadow /proc/1/environ 2>/dev/null; id -u'),
        user: '0:0',
      })
      expect(stdout.toString()).toMatch(/^(nameserver [0-9.]+\n)?0\n$/)
    } catch (error) {
      if (!(error instanceof ServiceUnavailableError)) throw error // refusing such an image is as good
    }
    await backend.destroy('evil', { ifExists: true })
    const after = await run(
      'sh',
      [
        '-c',
        'cksum /etc/passwd /etc/shadow /etc/hosts /etc/resolv.conf; ls -la /root /tmp | grep -c croft-escaped || true; mount | wc -l',
      ],
      { timeoutMs: 5000 },
    )
    expect(after.stdout.toString()).toBe(before.stdout.toString())
    expect(await leftovers(home)).toEqual([])
  })
})

describe('a shim that hears nonsense', () => {
  it('drops who said it and goes on, whatever was said', async () => {
    const home = await makeHome()
    const backend = await home.open()
    await backend.recover()
    const container = await backend.create({ ...image, handle: 'talk' })
    const state = JSON.parse(await readFile(join(home.dir, 'containers/talk/state.json'), 'utf8')) as {
      slot: number
      shim: { pid: number }
    }
    const say = async (bytes: Uint8Array): Promise<void> => {
      const socket = connect(join(home.dir, 'run', `${state.slot}.sock`))
      socket.on('error', () => undefined)
      socket.end(bytes)
      socket.resume()
      await once(socket, 'close')
    }
    try {
      const types = fc.constantFrom(...'HRAISWXZ'.split('').map((type) => type.charCodeAt(0)))
      const framed = fc.tuple(types, fc.uint8Array({ maxLength: 80 })).map(([type, body]) => {
        const head = Buffer.alloc(5)
        head.writeUInt32LE(body.length + 1)
        head.writeUInt8(type, 4)
        return Buffer.concat([head, body])
      })
      const said = fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc.array(framed, { maxLength: 6 }).map((frames) => Buffer.concat(frames)),
      )
      await fc.assert(fc.asyncProperty(said, say), { numRuns: 300 })
      /* a run request whose inner lengths lie: it is init's child that reads those */
      const lying = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((tail) => {
        const body = Buffer.concat([
          Buffer.of('R'.charCodeAt(0), 0, 0, 0, 0, 0, 0, 4, 0),
          Buffer.from(`f${Math.abs(tail[0] ?? 0) % 1000}`.padEnd(4, 'z')),
          Buffer.from(tail),
        ])
        const head = Buffer.alloc(4)
        head.writeUInt32LE(body.length)
        return Buffer.concat([head, body])
      })
      await fc.assert(fc.asyncProperty(lying, say), { numRuns: 100 })
      expect((await runToEnd(container, sh('echo still here'))).stdout.toString()).toBe('still here\n')
      const { shim } = JSON.parse(await readFile(join(home.dir, 'containers/talk/state.json'), 'utf8')) as {
        shim: { pid: number }
      }
      expect(shim.pid).toBe(state.shim.pid)
    } finally {
      await backend.close()
      await home.clean()
    }
  })
})

describe('what a container leaves', () => {
  let home: TestHome
  let backend: LinuxBackend

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  const limits = { memory: { limitBytes: 64 << 20 }, disk: { byteHard: 16 << 20 } }

  it('is nothing, after it was destroyed', async () => {
    const container = await backend.create({ ...image, handle: 'gone', limits })
    const process = await container.run(shellCommands.forever())
    await backend.destroy('gone')
    expect((await process.wait().catch((error: unknown) => error)) !== undefined).toBe(true)
    expect(await leftovers(home)).toEqual([])
  })

  it('is nothing, after its creation failed half-way', async () => {
    const bindMounts = [{ srcPath: '/nosuch/source', dstPath: '/data', mode: 'ro' as const }]
    await expect(backend.create({ ...image, handle: 'half', bindMounts, limits })).rejects.toThrow('/nosuch/source')
    await expect(backend.create({ image: { uri: 'raw:///etc/passwd' }, handle: 'half', limits })).rejects.toThrow()
    expect(await leftovers(home)).toEqual([])
    await backend.create({ ...image, handle: 'half', limits })
    await backend.destroy('half')
  })

  it('ends with its shim: a killed shim takes the processes along, and a new backend removes the rest', async () => {
    const container = await backend.create({ ...image, handle: 'orphan', limits })
    const process = await container.run({ ...sh('echo up; exec sleep 100000'), id: 'sleeper' }, { stdout: new Sink() })
    await waitForLog(container, 'sleeper', 'up')
    const pid = (await container.processes())[0]?.pid
    const state = JSON.parse(await readFile(join(home.dir, 'containers/orphan/state.json'), 'utf8')) as {
      shim: { pid: number }
    }
    globalThis.process.kill(state.shim.pid, 'SIGKILL')
    await expect(process.wait()).rejects.toThrow(UnrecoverableError)
    await waitFor(async () => !(await readdir('/proc')).includes(String(pid)), {
      what: 'the process to end',
      timeoutMs: 5000,
    })
    const next = await home.open()
    const report = await next.recover()
    expect(report.removed).toEqual([{ handle: 'orphan', why: 'its shim is gone' }])
    await expect(next.lookup('orphan')).rejects.toThrow(ContainerNotFoundError)
    await next.close()
    await backend.destroy('orphan')
    expect(await leftovers(home)).toEqual([])
  })

  it.each([
    ['creates', 'container-journaled'],
    ['creates', 'container-shim-started'],
    ['creates', 'container-stands'],
    ['creates', 'container-connected'],
    ['destroys', 'container-destroying'],
    ['destroys', 'container-killed'],
  ])('is nothing, after a backend that %s died at %s and the next one recovered', async (what, point) => {
    if (what === 'destroys') await backend.create({ ...image, handle: 'victim', limits })
    const { images: _images, logger: _logger, ...options } = home.options
    const script = `
      import { createLinuxBackend } from '${lib('backend-linux')}'
      import { silentLogger } from '${lib('kit')}'
      const images = { resolve: async () => ({ lowerPaths: ['${root}'], env: [] }) }
      const backend = await createLinuxBackend({ ...${JSON.stringify(options)}, images, logger: silentLogger })
      await backend.recover()
      if ('${what}' === 'destroys') await backend.destroy('victim')
      else await backend.create({ handle: 'victim', image: { uri: 'x' }, limits: ${JSON.stringify(limits)} })`
    const died = run(process.execPath, ['--input-type=module', '-e', script], {
      timeoutMs: 20_000,
      env: bareEnv({ CROFT_FAILPOINT: point }),
    })
    await expect(died).rejects.toThrow('killed by SIGKILL')
    const next = await home.open()
    const report = await next.recover()
    expect(report.removed.map((one) => one.handle)).toEqual(['victim'])
    await next.close()
    await backend.destroy('victim', { ifExists: true })
    expect(await leftovers(home)).toEqual([])
  })

  it('is nothing, after the whole home was cleaned while containers ran', async () => {
    for (const handle of ['a', 'b'])
      await (await backend.create({ ...image, handle, limits })).run(shellCommands.forever())
    await backend.destroyAll()
    expect(await leftovers(home)).toEqual([])
    const tables = (await run('nft', ['list', 'tables'], { timeoutMs: 5000 })).stdout.toString()
    expect(tables).not.toContain(`croft_${home.index}\n`)
  })
})
