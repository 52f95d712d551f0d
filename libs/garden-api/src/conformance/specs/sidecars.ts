import { describe, expect } from 'vitest'
import { waitFor } from '@croft/kit'
import type { Container } from '../../backend.js'
import { AlreadyInUseError, ExecutableNotFoundError, InvalidSpecError, UserNotFoundError } from '../../errors.js'
import type { ProcessSpec } from '../../types.js'
import { commands, sh, SIGKILL, SIGTERM } from '../commands.js'
import { runToEnd, waitForLog } from '../streams.js'
import type { Suite } from '../suite.js'

const MIB = 1024 * 1024
/** Grows until something stops it. */
const HOG = 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'
/** Takes some 50 MB and ends well. */
const EATER = 'x=$(head -c 12000000 /dev/zero | tr "\\0" a); y=$x$x; echo ${#y}'

/** Processes with an image of their own in a container's namespaces ("peas"). */
export function describeSidecars(suite: Suite): void {
  const needs = ['hasSidecars'] as const
  const sidecar = (spec: ProcessSpec): ProcessSpec => ({ ...spec, image: suite.base.image ?? { uri: '' } })
  const said = async (container: Container, spec: ProcessSpec): Promise<string> => {
    const { stdout, stderr } = await runToEnd(container, spec)
    return stdout.toString() + stderr
  }

  describe('sidecars', () => {
    const a1 = (title: string, body: (container: Container) => Promise<void>, limits = {}): void =>
      suite.kernel(`A1: ${title}`, async () => await suite.withContainer(body, { limits }), { needs })

    a1('tell how they ended, and keep their streams apart', async (container) => {
      expect((await runToEnd(container, sidecar(commands.exit(6)))).exit.exitCode).toBe(6)
      const { stdout, stderr } = await runToEnd(container, sidecar(sh('echo out; echo err >&2')))
      expect([stdout.toString(), stderr]).toEqual(['out\n', 'err\n'])
    })

    a1('have a root of their own, and user 0:0 in `/` when nothing else is asked for', async (container) => {
      await runToEnd(container, sh('echo container > /whose-root'))
      expect(await said(container, sidecar(sh('pwd; id -u; id -g; cat /whose-root 2>/dev/null')))).toBe('/\n0\n0\n')
      expect(await said(container, sidecar(sh('touch /of-sidecar && ls /of-sidecar')))).toBe('/of-sidecar\n')
      expect(await said(container, sh('ls /of-sidecar 2>/dev/null'))).toBe('')
    })

    a1('share all namespaces of the container but that of mounts', async (container) => {
      const kinds = ['ipc', 'net', 'pid', 'user', 'uts', 'mnt']
      const look = sh(kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join('; '))
      const own = (await said(container, look)).trim().split('\n')
      const others = (await said(container, sidecar(look))).trim().split('\n')
      expect(kinds.filter((_kind, index) => own[index] === others[index])).toEqual(kinds.slice(0, -1))
    })

    a1('run as whom they are asked to, by the names of their own image', async (container) => {
      await runToEnd(container, sh('echo "only:x:777:777::/:/bin/sh" >> /etc/passwd'))
      const who = sh('echo $(id -u):$(id -g) $USER')
      expect(await said(container, sidecar({ ...who, user: suite.user }))).toContain(` ${suite.user}\n`)
      expect(await said(container, sidecar({ ...who, user: '1234:5678' }))).toContain('1234:5678 ')
      const stranger = container.run(sidecar({ ...who, user: 'only' }))
      await expect(stranger).rejects.toThrow(UserNotFoundError)
    })

    a1('share what the container says of hosts and name servers, both ways', async (container) => {
      await runToEnd(container, sh('echo 192.0.2.7 seven >> /etc/hosts'))
      expect(await said(container, sidecar(sh('cat /etc/hosts; echo "# mine" >> /etc/resolv.conf')))).toContain('seven')
      expect(await said(container, sh('cat /etc/resolv.conf'))).toContain('# mine')
    })

    a1('hear signals', async (container) => {
      const process = await container.run({ ...sidecar(commands.trap(42)), id: 'trapped' })
      await waitForLog(container, 'trapped', 'ready')
      await process.signal(SIGTERM)
      expect((await process.wait()).exitCode).toBe(42)
    })

    a1('alone may ask for mounts and limits of their own', async (container) => {
      await expect(container.run({ ...commands.exit(0), bindMounts: [] })).rejects.toThrow(InvalidSpecError)
    })

    a1(
      'are held by the limits of the container when they have none of their own',
      async (container) => {
        const { exit } = await runToEnd(container, sidecar(sh(HOG)))
        expect(exit).toMatchObject({ exitCode: 137, isOutOfMemory: true })
        expect((await runToEnd(container, commands.exit(0))).exit.exitCode).toBe(0)
      },
      { memory: { limitBytes: 48 * MIB } },
    )

    a1(
      'are held by no limit when theirs are empty, and by exactly theirs when they have some',
      async (container) => {
        const free = await runToEnd(container, { ...sidecar(sh(EATER)), limits: {} })
        expect([free.exit.exitCode, free.stdout.toString()]).toEqual([0, '24000000\n'])
        const small = { ...sidecar(sh(HOG)), limits: { memory: { limitBytes: 32 * MIB } } }
        expect((await runToEnd(container, small)).exit).toMatchObject({ exitCode: 137, isOutOfMemory: true })
      },
      { memory: { limitBytes: 32 * MIB } },
    )

    a1('are listed, and measured by the id of their process', async (container) => {
      const id = `pea-${container.handle.slice(-20)}`
      const process = await container.run({ ...sidecar(commands.forever()), id })
      expect((await container.processes()).map((one) => [one.id, one.state])).toEqual([[id, 'running']])
      const metrics = (await suite.backend.bulkMetrics([id, container.handle])).get(id)?.value
      expect(metrics?.pids.current).toBeGreaterThan(0)
      expect(metrics?.memory.usageTowardLimitBytes).toBeGreaterThan(0)
      await process.signal(SIGKILL)
      expect((await process.wait()).exitCode).toBe(137)
      await waitFor(async () => (await suite.backend.bulkMetrics([id])).get(id)?.error !== undefined, {
        what: 'the sidecar to be gone',
        timeoutMs: 10_000,
      })
      expect((await container.processes())[0]?.exit?.exitCode).toBe(137)
    })

    a1('have ids of their own among all processes of the container', async (container) => {
      await container.run({ ...commands.forever(), id: 'plain' })
      await expect(container.run({ ...sidecar(commands.exit(0)), id: 'plain' })).rejects.toThrow(AlreadyInUseError)
      await container.run({ ...sidecar(commands.forever()), id: 'beside' })
      await expect(container.run({ ...commands.exit(0), id: 'beside' })).rejects.toThrow(AlreadyInUseError)
    })

    a1('leave nothing when they cannot start', async (container) => {
      await expect(container.run(sidecar({ path: 'nosuch-program' }))).rejects.toThrow(ExecutableNotFoundError)
      expect(await container.processes()).toEqual([])
    })

    a1('end when the container is stopped, and with it when it is destroyed', async (container) => {
      const stopped = await container.run(sidecar(commands.forever()))
      await container.stop({ kill: true })
      expect((await stopped.wait()).exitCode).toBe(137)
      const own = await container.run({ ...sidecar(commands.forever()), limits: {} })
      const bounded = await container.run(sidecar(commands.forever()))
      await suite.backend.destroy(container.handle)
      expect(await Promise.all([own, bounded].map(async (one) => (await one.wait()).exitCode))).toEqual([137, 137])
    })
  })
}
