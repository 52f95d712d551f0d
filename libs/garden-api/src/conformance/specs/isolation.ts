import { describe, expect } from 'vitest'
import { sh } from '../commands.js'
import { outputOf } from '../streams.js'
import type { Suite } from '../suite.js'

/** Garden's capabilities of unprivileged containers, as the kernel writes the set. */
const GARDEN_CAPABILITIES = 0xa80425fbn

const capabilities = (text: string): Record<string, bigint> =>
  Object.fromEntries([...text.matchAll(/^Cap(\w+):\s*(\w+)/gm)].map(([, name, bits]) => [name, BigInt(`0x${bits}`)]))

/** What a container is, sees, and cannot do. */
export function describeIsolation(suite: Suite): void {
  describe('isolation', () => {
    suite.kernel('S1: hides the processes of others: there are the first one and its own', async () => {
      await suite.withContainer(async (container) => {
        const printed = await outputOf(container, sh('for p in /proc/[0-9]*; do echo "${p#/proc/}"; done; echo $$'))
        const pids = printed.trim().split('\n')
        expect(pids).toHaveLength(3)
        expect(pids[0]).toBe('1')
        expect(pids[1]).toBe(pids[2])
      })
    })

    suite.kernel('S1: gives a process its three streams and no other open file', async () => {
      await suite.withContainer(async (container) => {
        expect(await outputOf(container, { path: 'ls', args: ['/proc/self/fd'] })).toBe('0\n1\n2\n3\n')
      })
    })

    suite.kernel('S2: has a /tmp for everybody and a /sys for reading', async () => {
      await suite.withContainer(async (container) => {
        expect(
          await outputOf(
            container,
            sh("stat -c '%a %u' /tmp; touch /sys/x 2>&1; grep -c '^sysfs /sys sysfs ro,' /proc/mounts"),
          ),
        ).toMatch(/^1777 0\n.*Read-only file system\n1\n$/)
      })
    })

    suite.kernel(
      'S2: shows its cgroups for reading only, and is in one of each limiting kind',
      async () => {
        await suite.withContainer(async (container) => {
          const kinds = await outputOf(container, sh('cut -d: -f2 /proc/self/cgroup | tr , "\\n" | sort'))
          for (const kind of ['cpu', 'cpuacct', 'cpuset', 'devices', 'memory'])
            expect(kinds.split('\n')).toContain(kind)
          const mounts = await outputOf(container, sh("grep ' cgroup ' /proc/mounts"))
          expect(mounts.trim().split('\n').length).toBeGreaterThan(5)
          for (const line of mounts.trim().split('\n')) expect(line).toMatch(/ cgroup ro,nosuid,nodev,noexec/)
        })
      },
      { needs: ['cgroupVersion 1'] },
    )

    suite.kernel(
      'S4: keeps the set-uid bit of a program, which gains nothing unless the container is made so',
      async () => {
        const script = sh('stat -c %a /usr/bin/setuid-id; /usr/bin/setuid-id -u')
        await suite.withContainer(async (container) => {
          expect(await outputOf(container, { ...script, user: 'alice' })).toBe('4755\n1001\n')
        })
        await suite.withContainer(
          async (container) => expect(await outputOf(container, { ...script, user: 'alice' })).toBe('4755\n0\n'),
          { noNewPrivileges: false },
        )
      },
    )

    suite.kernel('S4: holds a limit of processes of a user', async () => {
      await suite.withContainer(async (container) => {
        expect(await outputOf(container, { ...sh('ulimit -u'), path: '/bin/bash', rlimits: { nproc: 1024 } })).toBe(
          '1024\n',
        )
      })
    })

    suite.kernel('S5: filters system calls, so that a user namespace cannot be made', async () => {
      await suite.withContainer(async (container) => {
        const script = 'unshare --user true 2>&1; grep ^Seccomp: /proc/self/status | tr -d "\\t"'
        expect(await outputOf(container, sh(script))).toMatch(/Operation not permitted\nSeccomp:2\n$/)
        expect(await outputOf(container, { ...sh(script), user: suite.user })).toMatch(
          /Operation not permitted\nSeccomp:2\n$/,
        )
      })
    })

    suite.kernel(
      'S5: has no way to the magic keys of the kernel, and a home of root that root can write to',
      async () => {
        await suite.withContainer(async (container) => {
          const script = '(echo b >/proc/sysrq-trigger) 2>/dev/null || echo refused; touch /root/mine && ls /root/mine'
          expect(await outputOf(container, sh(script))).toBe('refused\n/root/mine\n')
        })
      },
    )

    suite.kernel(
      "S5: has Garden's capabilities as root, as far as the host has them, and none in effect as another",
      async () => {
        await suite.withContainer(async (container) => {
          const init = capabilities(await outputOf(container, sh('cat /proc/1/status')))
          expect((init['Bnd'] ?? 0n) & ~GARDEN_CAPABILITIES).toBe(0n)
          const root = capabilities(await outputOf(container, sh('cat /proc/self/status')))
          expect([root['Eff'], root['Prm'], root['Inh'], root['Bnd']]).toEqual([
            root['Bnd'],
            root['Bnd'],
            root['Bnd'],
            init['Bnd'],
          ])
          expect(root['Bnd']).not.toBe(0n)
          const user = capabilities(await outputOf(container, { ...sh('cat /proc/self/status'), user: suite.user }))
          expect([user['Eff'], user['Prm'], user['Inh'], user['Bnd']]).toEqual([0n, 0n, init['Bnd'], init['Bnd']])
        })
      },
    )

    suite.kernel('L3: is named by its handle, of a long one by the last 49 characters', async () => {
      const long = `${'a'.repeat(40)}${'b'.repeat(40)}`
      for (const handle of ['short-name', long])
        await suite.withContainer(
          async (container) => expect(await outputOf(container, sh('hostname'))).toBe(`${handle.slice(-49)}\n`),
          { handle },
        )
    })

    suite.kernel('L3: maps its root to nobody of the host', async () => {
      await suite.withContainer(async (container) => {
        for (const map of ['uid_map', 'gid_map']) {
          const [first] = (await outputOf(container, sh(`cat /proc/self/${map}`))).trim().split('\n')
          const [inside, outside] = first?.trim().split(/\s+/).map(Number) ?? []
          expect(inside).toBe(0)
          expect(outside).toBeGreaterThanOrEqual(65_536)
        }
      })
    })

    suite.kernel('L3: has a first process named garden-init', async () => {
      await suite.withContainer(async (container) => {
        expect(await outputOf(container, sh('cat /proc/1/comm; tr "\\0" "\\n" </proc/1/cmdline | head -n 1'))).toMatch(
          /garden-init/,
        )
      })
    })
  })
}
