import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildShim, cleanHome, createLinuxBackend, releaseHomeIndex, reserveHomeIndex, type LinuxBackend } from '@croft/backend-linux'
import { ContainerNotFoundError, UnrecoverableError, type Container, type ContainerSpec } from '@croft/garden-api'
import { describeBackend, runToEnd, shellCommands, Sink, waitForLog } from '@croft/garden-api/conformance'
import { run, silentLogger, waitFor } from '@croft/kit'
import { makeHostRoot } from './support/host-root.js'

/** A home of this spec's own: index, folders, an address range nobody else has, and a root file system. */
interface TestHome {
  dir: string
  index: number
  open(): Promise<LinuxBackend>
  clean(): Promise<void>
}

async function makeHome(): Promise<TestHome> {
  const dir = await mkdtemp('/tmp/backend-spec-')
  const index = await reserveHomeIndex(dir)
  await makeHostRoot(join(dir, 'root'))
  const shimPath = await buildShim({ cacheDir: join(dir, 'cache') })
  const options = {
    index,
    depotDir: join(dir, 'containers'),
    runDir: join(dir, 'run'),
    runcRoot: join(dir, 'runc'),
    shimPath,
    network: `10.222.${index * 4}.0/22`,
    images: { resolve: async (uri: string) => ({ lowerPaths: [uri.replace('raw://', '')], env: ['IMAGE=yes'] }) },
    logger: silentLogger,
  }
  return {
    dir,
    index,
    open: async () => await createLinuxBackend(options),
    clean: async () => {
      await cleanHome(options)
      await releaseHomeIndex(dir)
      await rm(dir, { recursive: true, force: true })
    },
  }
}

const imageOf = (home: TestHome): ContainerSpec => ({ image: { uri: `raw://${join(home.dir, 'root')}` } })
const sh = (script: string): { path: string; args: string[] } => ({ path: '/bin/sh', args: ['-c', script] })

/** A shell command that prints what a port says, or why it says nothing. */
const ask = (target: string): string => {
  const [host, port] = target.split(':')
  const script = `const s = require('net').connect(${port}, '${host}'); s.setTimeout(1000, () => { console.log('timeout'); process.exit() });
    s.on('error', (e) => console.log(e.code)); s.pipe(process.stdout)`
  return `node -e "${script}" | tr -d '\\n'`
}

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
  const loops = (await run('losetup', ['--noheadings', '--list', '--output', 'BACK-FILE'], { timeoutMs: 5000 })).stdout.toString()
  return [...links, ...groups, ...mounts, ...depots, ...sockets, ...loops.split('\n').filter((line) => line.includes(home.dir))]
}

let shared: TestHome
describeBackend(
  'Linux',
  async () => {
    shared = await makeHome()
    return { backend: await shared.open(), reopen: async () => await shared.open(), clean: async () => await shared.clean() }
  },
  {
    commands: shellCommands,
    base: {
      get image() {
        return imageOf(shared).image ?? { uri: '' }
      },
    },
    user: 'alice',
    hasKernel: true,
  },
)

describe('a container on this host', () => {
  let home: TestHome
  let backend: LinuxBackend
  let first: Container
  let second: Container

  const output = async (container: Container, script: string, user = 'root'): Promise<string> => {
    const { stdout, stderr } = await runToEnd(container, { ...sh(script), user })
    return stdout.toString() + stderr
  }

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
    first = await backend.create({ ...imageOf(home), handle: 'first', limits: { memory: { limitBytes: 128 << 20 }, pids: { max: 128 } } })
    second = await backend.create({ ...imageOf(home), handle: 'second' })
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
    const targets = [`${hostIp}:${port}`, `${hostAddress ?? hostIp}:${port}`, `${containerIp}:8080`, '169.254.169.254:80', '10.0.0.1:80']
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
    ['writing cgroups', 'touch /sys/fs/cgroup/x /sys/fs/cgroup/memory/x || echo 1 > /sys/fs/cgroup/memory/memory.limit_in_bytes'],
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
    const bomb = await first.run({ path: '/bin/bash', args: ['-c', 'b() { b | b & }; b; sleep 1000'], id: 'bomb', user: 'alice' })
    await waitFor(async () => (await first.metrics()).pids.current > 100, { what: 'the bomb to fill its limit', timeoutMs: 10_000 })
    expect((await first.metrics()).pids.current).toBeLessThanOrEqual(128)
    expect(await output(second, 'echo fine')).toBe('fine\n')
    await first.stop({ kill: true })
    await bomb.wait()
    expect(await output(first, 'echo again')).toBe('again\n')
  })

  it('shows a mapped tree with the tree\'s own ids, whoever the container is on the host', async () => {
    const tree = join(home.dir, 'tree')
    await mkdir(tree)
    await run('chown', ['1001:1001', tree], { timeoutMs: 5000 })
    const bindMounts = [{ srcPath: tree, dstPath: '/data', mode: 'rw' as const, isIdmapped: true }]
    const container = await backend.create({ ...imageOf(home), bindMounts })
    try {
      expect(await output(container, 'touch /data/mine; stat -c %u:%g /data/mine', 'alice')).toBe('1001:1001\n')
      expect((await run('stat', ['-c', '%u:%g', join(tree, 'mine')], { timeoutMs: 5000 })).stdout.toString()).toBe('1001:1001\n')
    } finally {
      await backend.destroy(container.handle)
    }
  })

  it('keeps what is changed over layers in the upper directory, with the tree\'s own ids', async () => {
    const [lower, upper, work] = ['low', 'up', 'wk'].map((name) => join(home.dir, 'over', name))
    if (lower === undefined || upper === undefined || work === undefined) throw new Error('three paths')
    for (const path of [lower, upper, work]) await mkdir(path, { recursive: true })
    await run('sh', ['-c', 'echo old > "$1/kept"; echo old > "$1/changed"; chown -R 1001:1001 "$1" "$2"', 'sh', lower, upper], { timeoutMs: 5000 })
    const bindMounts = [{ srcPath: upper, workPath: work, lowerPaths: [lower], dstPath: '/layers', mode: 'rw' as const }]
    const container = await backend.create({ ...imageOf(home), bindMounts })
    try {
      expect(await output(container, 'cd /layers && cat kept && echo new > changed && mkdir made && rm kept && ls', 'alice')).toBe('old\nchanged\nmade\n')
      const listed = await run('stat', ['-c', '%n %u', 'changed', 'made'], { cwd: upper, timeoutMs: 5000 })
      expect(listed.stdout.toString()).toBe('changed 1001\nmade 1001\n')
      expect(await readFile(join(lower, 'changed'), 'utf8')).toBe('old\n')
    } finally {
      await backend.destroy(container.handle)
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
    const container = await backend.create({ ...imageOf(home), handle: 'gone', limits })
    const process = await container.run(shellCommands.forever())
    await backend.destroy('gone')
    expect((await process.wait().catch((error: unknown) => error)) !== undefined).toBe(true)
    expect(await leftovers(home)).toEqual([])
  })

  it('is nothing, after its creation failed half-way', async () => {
    const bindMounts = [{ srcPath: '/nosuch/source', dstPath: '/data', mode: 'ro' as const }]
    await expect(backend.create({ ...imageOf(home), handle: 'half', bindMounts, limits })).rejects.toThrow('/nosuch/source')
    await expect(backend.create({ image: { uri: 'raw:///etc/passwd' }, handle: 'half', limits })).rejects.toThrow()
    expect(await leftovers(home)).toEqual([])
    await backend.create({ ...imageOf(home), handle: 'half', limits })
    await backend.destroy('half')
  })

  it('ends with its shim: a killed shim takes the processes along, and a new backend removes the rest', async () => {
    const container = await backend.create({ ...imageOf(home), handle: 'orphan', limits })
    const process = await container.run({ ...sh('echo up; exec sleep 100000'), id: 'sleeper' }, { stdout: new Sink() })
    await waitForLog(container, 'sleeper', 'up')
    const pid = (await container.processes())[0]?.pid
    const state = JSON.parse(await readFile(join(home.dir, 'containers/orphan/state.json'), 'utf8')) as { shim: { pid: number } }
    globalThis.process.kill(state.shim.pid, 'SIGKILL')
    await expect(process.wait()).rejects.toThrow(UnrecoverableError)
    await waitFor(async () => !(await readdir('/proc')).includes(String(pid)), { what: 'the process to end', timeoutMs: 5000 })
    const next = await home.open()
    const report = await next.recover()
    expect(report.removed).toEqual([{ handle: 'orphan', why: 'its shim is gone' }])
    await expect(next.lookup('orphan')).rejects.toThrow(ContainerNotFoundError)
    await next.close()
    await backend.destroy('orphan')
    expect(await leftovers(home)).toEqual([])
  })

  it('is nothing, after the whole home was cleaned while containers ran', async () => {
    for (const handle of ['a', 'b']) await (await backend.create({ ...imageOf(home), handle, limits })).run(shellCommands.forever())
    await backend.destroyAll()
    expect(await leftovers(home)).toEqual([])
    const tables = (await run('nft', ['list', 'tables'], { timeoutMs: 5000 })).stdout.toString()
    expect(tables).not.toContain(`croft_${home.index}\n`)
  })
})
