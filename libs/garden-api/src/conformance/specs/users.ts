import { describe, expect } from 'vitest'
import { sh } from '../commands.js'
import { UserNotFoundError } from '../../errors.js'
import { outputOf, runToEnd } from '../streams.js'
import type { Suite } from '../suite.js'

/** Who a process runs as, and where. */
export function describeUsers(suite: Suite): void {
  describe('users', () => {
    suite.kernel("P1: runs as the user asked, with the user's groups and home", async () => {
      await suite.withContainer(async (container) => {
        const { stdout } = await runToEnd(container, {
          ...sh('id -u; pwd; echo $HOME; echo $USER'),
          user: suite.user,
        })
        const [uid, pwd, home, name] = stdout.toString().trim().split('\n')
        expect(Number(uid)).toBeGreaterThan(0)
        expect([pwd, name]).toEqual([home, suite.user])
      })
    })

    suite.kernel('P1: makes a working directory that is missing, owned by the user', async () => {
      await suite.withContainer(async (container) => {
        const script = 'pwd; touch here && echo writable'
        const { stdout } = await runToEnd(container, {
          ...sh(script),
          user: suite.user,
          dir: '/srv/a/b',
        })
        expect(stdout.toString()).toBe('/srv/a/b\nwritable\n')
      })
    })

    for (const [asked, uid, gid, groups] of [
      ['', '0', '0', '0 10'],
      ['root', '0', '0', '0 10'],
      ['alice', '1001', '1010', '1010 1011'],
      ['testuser', '1000', '50', '50'],
      ['1001:1010', '1001', '1010', '1010'],
      ['1001', '1001', '1010', '1010 1011'],
      ['alice:staff', '1001', '50', '50'],
      ['1000000000:1000000001', '1000000000', '1000000001', '1000000001'],
    ] as const)
      suite.kernel(`P1, S4, U1: runs as ${asked === '' ? 'root when no user is asked for' : asked}`, async () => {
        await suite.withContainer(async (container) => {
          const spec = { ...sh('id -u; id -g; id -G | tr " " "\\n" | sort -n | tr "\\n" " "'), user: asked }
          expect((await outputOf(container, spec)).trim().split('\n')).toEqual([
            uid,
            gid,
            expect.stringMatching(`^${groups} ?$`),
          ])
        })
      })

    for (const [user, expected] of [
      ['root', ['/root', 'root', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']],
      ['alice', ['/home/alice', 'alice', '/usr/local/bin:/usr/bin:/bin']],
    ] as const)
      suite.kernel(`S4: gives ${user} its HOME, USER and PATH, unless the process brings its own`, async () => {
        await suite.withContainer(async (container) => {
          const script = 'printf "%s\\n" "$HOME" "$USER" "$PATH"'
          const clean = await outputOf(container, { ...sh(script), user })
          expect(clean.trim().split('\n')).toEqual(expected)
          const own = await outputOf(container, {
            ...sh(script),
            user,
            env: ['HOME=/nowhere', 'USER=nobody', 'PATH=/bin'],
          })
          expect(own.trim().split('\n')).toEqual(['/nowhere', 'nobody', '/bin'])
          expect(await outputOf(container, { ...sh('pwd'), user })).toBe(`${expected[0]}\n`)
        })
      })

    suite.kernel(
      'P1: makes a missing directory for its user also where only root may write, parents and all',
      async () => {
        await suite.withContainer(async (container) => {
          const spec = { ...sh('pwd; stat -c "%U %a" . ..; touch here'), user: 'alice', dir: '/opt/made/deep' }
          expect(await outputOf(container, spec)).toBe('/opt/made/deep\nalice 755\nalice 755\n')
        })
      },
    )

    suite.kernel('P1: a process that may not write to its directory finds out by itself', async () => {
      await suite.withContainer(async (container) => {
        const { exit, stderr } = await runToEnd(container, { ...sh('touch here'), user: 'alice', dir: '/usr' })
        expect(exit.exitCode).not.toBe(0)
        expect(stderr).toContain('Permission denied')
      })
    })

    suite.kernel('U1: knows users added inside, and the groups of /etc/group only', async () => {
      await suite.withContainer(async (container) => {
        await runToEnd(container, sh('addgroup -g 50000 late && adduser -u 50000 -G 50000 late'))
        expect(await outputOf(container, { ...sh('id -u; id -g; id -G; pwd'), user: 'late' })).toBe(
          '50000\n50000\n50000\n/home/late\n',
        )
      })
    })

    suite.kernel(
      'U1: without an /etc/passwd there is root, and nobody else by name',
      async () => {
        await suite.withContainer(
          async (container) => {
            expect(await outputOf(container, { ...sh('id -u; ls /etc/passwd 2>&1'), user: 'root' })).toMatch(
              /^0\n.*No such/,
            )
            await expect(container.run({ ...sh('true'), user: 'alice' })).rejects.toThrow(UserNotFoundError)
            await expect(container.run({ ...sh('true'), user: 'alice' })).rejects.toThrow('unable to find user alice')
          },
          { image: suite.image('noPasswd') },
        )
      },
      { image: 'noPasswd' },
    )
  })
}
