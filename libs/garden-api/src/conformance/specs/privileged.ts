import { describe, expect } from 'vitest'
import { sh } from '../commands.js'
import { outputOf, runToEnd, tarOf } from '../streams.js'
import type { Suite } from '../suite.js'

const MIB = 1024 * 1024

/** Containers with privileges, where the operator allows them. */
export function describePrivileged(suite: Suite): void {
  const needs = ['hasPrivileged'] as const

  describe('privileged containers', () => {
    suite.kernel(
      'S3: mount /proc for writing, /sys for reading and no cgroups, and own what root owns',
      async () => {
        await suite.withContainer(
          async (container) => {
            const mounts = await outputOf(container, sh('cat /proc/mounts'))
            expect(mounts).toMatch(/^proc \/proc proc rw/m)
            expect(mounts).toMatch(/^sysfs \/sys sysfs ro/m)
            expect(mounts).not.toMatch(/ \/sys\/fs\/cgroup\S* cgroup/)
            expect(await outputOf(container, sh('touch /root/mine && stat -c %U /root/mine /bin/sh'))).toBe(
              'root\nroot\n',
            )
          },
          { isPrivileged: true },
        )
      },
      { needs },
    )

    suite.kernel(
      'L16: take files in below the home of root',
      async () => {
        await suite.withContainer(
          async (container) => {
            await container.streamIn({ user: '', path: '.', tar: tarOf({ 'some-file': 'here' }) })
            expect(await outputOf(container, sh('cat /root/some-file'))).toBe('here')
          },
          { isPrivileged: true },
        )
      },
      { needs },
    )

    suite.kernel(
      'M4: are held to their disk limit, root and others alike',
      async () => {
        await suite.withContainer(
          async (container) => {
            for (const user of ['root', suite.user])
              expect(
                (await runToEnd(container, { ...sh('head -c 20000000 /dev/zero >/tmp/fill-$USER'), user })).exit
                  .exitCode,
              ).not.toBe(0)
          },
          { isPrivileged: true, limits: { disk: { byteHard: 10 * MIB, scope: 'exclusive' } } },
        )
      },
      { needs },
    )
  })
}
