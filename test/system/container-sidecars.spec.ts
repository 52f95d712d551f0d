import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import type { Container, ProcessSpec } from '@croft/garden-api'
import { runToEnd, Sink, waitForLog } from '@croft/garden-api/conformance'
import { bareEnv, run, waitFor } from '@croft/kit'
import { image, leftovers, lib, makeHome, output, root, sh, type TestHome } from './support/backend-rig.js'

const limits = { memory: { limitBytes: 64 << 20 }, disk: { byteHard: 32 << 20, scope: 'exclusive' as const } }
const sidecar = (script: string): ProcessSpec => ({ ...sh(script), ...(image.image && { image: image.image }) })

describe('a sidecar on this host', () => {
  let home: TestHome
  let backend: LinuxBackend
  let container: Container

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
    container = await backend.create({ ...image, handle: 'holder', limits })
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  /** Whatever a sidecar of the container would still have on the host. */
  const traces = async (): Promise<string[]> => {
    const folders = await readdir(join(home.dir, 'containers/holder/peas')).catch(() => [])
    const sockets = (await readdir(join(home.dir, 'run'))).filter((name) => /\.\d+\.sock$/.test(name))
    const runc = (await readdir(join(home.dir, 'runc'))).filter((name) => name.startsWith('+'))
    const groups: string[] = []
    for (const controller of await readdir('/sys/fs/cgroup')) {
      const dir = `/sys/fs/cgroup/${controller}/croft/${home.index}`
      for (const at of [dir, `${dir}/holder`])
        groups.push(...(await readdir(at).catch(() => [])).filter((name) => name.includes('pea-')))
    }
    return [...folders, ...sockets, ...runc, ...groups]
  }
  const untilGone = async (): Promise<void> => {
    await waitFor(async () => (await traces()).length === 0, { what: 'all of the sidecar to go', timeoutMs: 10_000 })
  }
  const stateOf = async (id: string): Promise<{ shim: { pid: number }; init: { pid: number } }> =>
    JSON.parse(await readFile(join(home.dir, 'containers/holder/peas', id, 'pea.json'), 'utf8')) as never

  it('writes on the disk of its container, and gives the room back at its end', async () => {
    const used = async (): Promise<number> => (await container.metrics()).disk.totalBytes
    const before = await used()
    const filled = await runToEnd(container, sidecar('head -c 90000000 /dev/zero > /fill'))
    expect(filled.exit.exitCode).not.toBe(0)
    await untilGone()
    expect((await used()) - before).toBeLessThan(1 << 20)
  })

  it('has the filter, the capabilities and the user range of its container', async () => {
    const look = 'grep -E "^(Seccomp|Cap|NoNewPrivs)" /proc/self/status; cat /proc/self/uid_map /proc/self/cgroup'
    const [own, other] = await Promise.all([
      output(container, look),
      runToEnd(container, sidecar(look)).then(({ stdout }) => stdout.toString()),
    ])
    expect(other).toBe(own)
    expect(other).toMatch(/^Seccomp:\s+2$/m)
    const escape = await runToEnd(container, sidecar('mount -t tmpfs none /tmp || unshare -U true || mknod /d b 254 0'))
    expect(escape.exit.exitCode).not.toBe(0)
  })

  it.each(['shim', 'init'] as const)('ends with all its processes when somebody kills its %s', async (which) => {
    const script = 'setsid sleep 54321 & setsid sh -c "sleep 54321 & wait" & echo up; exec sleep 54321'
    const process = await container.run({ ...sidecar(script), id: `killed-${which}` }, { stdout: new Sink() })
    await waitForLog(container, process.id, 'up')
    globalThis.process.kill((await stateOf(process.id))[which].pid, 'SIGKILL')
    await process.wait().catch(() => undefined)
    await untilGone()
    expect(await output(container, 'cat /proc/[0-9]*/cmdline')).not.toContain('54321')
    expect((await (await container.attach(process.id)).wait()).exitCode).toBe(137)
  })

  it.each([
    ['made', 'pea-reserved', 0],
    ['made', 'pea-journaled', 0],
    ['made', 'pea-shim-started', 0],
    ['made', 'pea-stands', 0],
    ['started', 'pea-runs', 1],
    ['removed', 'pea-killed', 0],
    ['removed', 'pea-forgotten', 0],
  ])('leaves nothing, or runs on, after a backend died at %s, %s', async (_what, point, running) => {
    await backend.close()
    const { images: _images, logger: _logger, ...options } = home.options
    const script = `
      import { createLinuxBackend } from '${lib('backend-linux')}'
      import { silentLogger } from '${lib('kit')}'
      const images = { resolve: async () => ({ lowerPaths: ['${root}'], env: [] }) }
      const backend = await createLinuxBackend({ ...${JSON.stringify(options)}, images, logger: silentLogger })
      await backend.recover()
      const holder = await backend.lookup('holder')
      const spec = { path: '/bin/sh', args: ['-c', 'echo up; exec sleep 77'], image: { uri: 'x' }, id: '${point}', limits: {} }
      await (await holder.run(spec)).signal(9)
      await new Promise((resolve) => setTimeout(resolve, 10_000))`
    const died = run(process.execPath, ['--input-type=module', '-e', script], {
      timeoutMs: 20_000,
      env: bareEnv({ CROFT_FAILPOINT: point }),
    })
    await expect(died).rejects.toThrow('killed by SIGKILL')
    backend = await home.open()
    expect((await backend.recover()).adopted).toEqual(['holder'])
    container = await backend.lookup('holder')
    const alive = (await container.processes()).filter(({ id, state }) => id === point && state === 'running')
    expect(alive).toHaveLength(running)
    if (running > 0) {
      await waitForLog(container, point, 'up')
      const process = await container.attach(point)
      await process.signal(15)
      expect((await process.wait()).exitCode).toBe(143)
    }
    await untilGone()
  })

  it('goes with its container to the last trace', async () => {
    await container.run(sidecar('exec sleep 1000'))
    await container.run({ ...sidecar('exec sleep 1000'), limits: {} })
    await backend.destroy('holder')
    expect(await leftovers(home)).toEqual([])
  })
})
