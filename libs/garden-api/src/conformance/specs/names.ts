import { describe, expect } from 'vitest'
import { sh } from '../commands.js'
import { outputOf } from '../streams.js'
import type { Suite } from '../suite.js'

/** Who answers at an address, without a server there: what is refused was reached. */
const reach = (name: string): ReturnType<typeof sh> => sh('bash -c "</dev/tcp/$1/1" 2>&1', name)

/** The names a container knows hosts by. */
export function describeNames(suite: Suite): void {
  describe('names of hosts', () => {
    suite.kernel(
      'N3: are its own and localhost, which it reaches',
      async () => {
        await suite.withContainer(
          async (container) => {
            const { containerIp } = await container.info()
            expect(await outputOf(container, sh('getent hosts localhost this-one | tr -s " "'))).toBe(
              `127.0.0.1 localhost\n${containerIp} this-one\n`,
            )
            for (const name of ['localhost', 'this-one', containerIp])
              expect(await outputOf(container, reach(name))).toContain('Connection refused')
          },
          { handle: 'this-one' },
        )
      },
      { needs: ['hasNetwork'] },
    )

    suite.kernel(
      'N2: lie in files that its root may write and nobody else',
      async () => {
        await suite.withContainer(async (container) => {
          const write = sh('echo 192.0.2.1 added >>/etc/hosts; echo "# added" >>/etc/resolv.conf')
          expect(await outputOf(container, { ...write, user: suite.user })).toMatch(
            /Permission denied\n.*Permission denied\n$/,
          )
          expect(await outputOf(container, write)).toBe('')
          expect(await outputOf(container, sh('getent hosts added; tail -n 1 /etc/resolv.conf'))).toMatch(
            /^192\.0\.2\.1 +added\n# added\n$/,
          )
        })
        await suite.withContainer(async (container) => {
          expect(await outputOf(container, sh('grep -c added /etc/hosts /etc/resolv.conf'))).toBe(
            '/etc/hosts:0\n/etc/resolv.conf:0\n',
          )
        })
      },
      { needs: ['hasNetwork'] },
    )
  })
}
