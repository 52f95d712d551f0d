import { mkdir, readFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LinuxBackend } from '@croft/backend-linux'
import { type Container } from '@croft/garden-api'
import { runToEnd } from '@croft/garden-api/conformance'
import { run, waitFor } from '@croft/kit'
import { ask, image, listenIn, makeHome, output, sh, type TestHome } from './support/backend-rig.js'

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
    ['its platform files', 'echo x > /tmp/garden-init || rm /etc/resolv.conf || rm /etc/hosts'],
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
      expect(await output(container, 'touch /data/mine; stat -c %u:%g /data/mine', 'alice')).toBe('1001:1010\n')
      expect((await run('stat', ['-c', '%u:%g', join(tree, 'mine')], { timeoutMs: 5000 })).stdout.toString()).toBe(
        '1001:1010\n',
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
