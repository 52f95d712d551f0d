import { describe, expect } from 'vitest'
import { sh } from '../commands.js'
import { outputOf } from '../streams.js'
import type { Suite } from '../suite.js'

/** Type and numbers, in hexadecimal as `stat` prints them. */
const NODES = {
  '/dev/tty': '5:0',
  '/dev/random': '1:8',
  '/dev/urandom': '1:9',
  '/dev/null': '1:3',
  '/dev/zero': '1:5',
  '/dev/full': '1:7',
  '/dev/pts/ptmx': '5:2',
}
const LINKS = {
  '/dev/fd': '/proc/self/fd',
  '/dev/stdin': '/proc/self/fd/0',
  '/dev/stdout': '/proc/self/fd/1',
  '/dev/stderr': '/proc/self/fd/2',
}

/** What is below /dev, and what is hidden below /proc and /sys. */
export function describeDevices(suite: Suite): void {
  describe('devices and kernel files', () => {
    suite.kernel('D1: has the usual devices, usable by everybody', async () => {
      await suite.withContainer(async (container) => {
        const paths = Object.keys(NODES)
        const listed = await outputOf(container, sh(`stat -L -c '%n %F %t:%T' ${paths.join(' ')}`))
        expect(listed.trim().split('\n')).toEqual(
          Object.entries(NODES).map(([path, numbers]) => `${path} character special file ${numbers}`),
        )
        const use =
          'echo x >/dev/null && head -c 4 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c; echo x >/dev/full || echo full'
        expect(await outputOf(container, { ...sh(`(${use}) 2>/dev/null`), user: suite.user })).toBe('4\n4\nfull\n')
      })
    })

    suite.kernel('D1: links the standard streams', async () => {
      await suite.withContainer(async (container) => {
        const read = Object.keys(LINKS).map((path) => `readlink ${path}`)
        expect((await outputOf(container, sh(read.join(';')))).trim().split('\n')).toEqual(Object.values(LINKS))
      })
    })

    suite.kernel('D1: mounts terminals of its own', async () => {
      await suite.withContainer(async (container) => {
        const line = await outputOf(container, sh("grep ' /dev/pts devpts ' /proc/mounts"))
        expect(line).toMatch(/rw,nosuid,noexec,relatime/)
        for (const option of ['gid=', 'mode=620', 'ptmxmode=666']) expect(line).toContain(option)
        expect(await outputOf(container, sh('stat -c %g /dev/pts/ptmx; ls /dev/pts'))).toBe('0\nptmx\n')
      })
    })

    suite.kernel('K1: hides kernel files that tell of others', async () => {
      await suite.withContainer(async (container) => {
        const files = ['kcore', 'keys', 'latency_stats', 'sched_debug', 'timer_list', 'timer_stats']
        const script = `cd /proc; for f in ${files.join(' ')}; do [ ! -e "$f" ] || stat -L -c '%t:%T' "$f"; done | sort -u; ls -A /sys/firmware`
        expect(await outputOf(container, sh(script))).toBe('1:3\n')
      })
    })

    suite.kernel('L3: has shared memory that holds no program and no device', async () => {
      await suite.withContainer(async (container) => {
        const line = await outputOf(container, sh("grep ' /dev/shm ' /proc/mounts"))
        expect(line).toMatch(/^tmpfs \/dev\/shm tmpfs rw,nosuid,nodev,noexec,relatime/)
      })
    })
  })
}
