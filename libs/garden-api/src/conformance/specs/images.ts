import { describe, expect } from 'vitest'
import { ContainerNotFoundError } from '../../errors.js'
import { commands, sh } from '../commands.js'
import { FIXTURE_XATTR } from '../fixture/root.js'
import { outputOf, runToEnd, xattrsOf } from '../streams.js'
import type { Suite } from '../suite.js'

/** What a container has of its image. */
export function describeImages(suite: Suite): void {
  describe('images', () => {
    suite.kernel(
      'R1: bring an environment, which the container and the process come after',
      async () => {
        await suite.withContainer(
          async (container) => {
            const env = async (more: string[]): Promise<string[]> =>
              (await outputOf(container, { ...commands.env(), env: more })).split('\n')
            const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/from-dockerfile'
            expect(await env([])).toEqual(expect.arrayContaining([`PATH=${path}`, 'TEST=of the container']))
            expect(await env(['TEST=of the process'])).toContain('TEST=of the process')
          },
          { image: suite.image('env'), env: ['TEST=of the container'] },
        )
        await suite.withContainer(
          async (container) =>
            expect(await outputOf(container, commands.env())).toContain(
              'TEST=second-test-from-dockerfile:test-from-dockerfile\n',
            ),
          { image: suite.image('env') },
        )
      },
      { image: 'env' },
    )

    suite.kernel(
      'R1: hide what an upper layer removed or replaced',
      async () => {
        await suite.withContainer(
          async (container) =>
            expect(await outputOf(container, sh('ls -A /test; ls /.foo 2>&1; ls /home'))).toMatch(
              /^bar\nls: .*No such file.*\nalice\ntestuser\n$/,
            ),
          { image: suite.image('layered') },
        )
      },
      { image: 'layered' },
    )

    suite.kernel('S5: keep owners, dotfiles and links', async () => {
      await suite.withContainer(async (container) => {
        const script = `cat /.foo; stat -c '%U:%G %F %a' /home/alice /home/alice/mine /home/alice/link /root /test/foo; hello-world`
        expect((await outputOf(container, sh(script))).trim().split('\n')).toEqual([
          'a file with a dot',
          expect.stringMatching(/^alice:alice directory/),
          expect.stringMatching(/^alice:alice regular file/),
          expect.stringMatching(/^alice:alice symbolic link/),
          'root:root directory 700',
          expect.stringMatching(/^root:root regular file/),
          'hello world',
        ])
      })
    })

    suite.kernel(
      'L15: keep extended attributes',
      async () => {
        await suite.withContainer(async (container) => {
          const found = await xattrsOf(await container.streamOut({ user: 'root', path: '/test/attributed' }))
          expect(found.get(FIXTURE_XATTR.name)).toBe(FIXTURE_XATTR.value)
        })
      },
      { needs: ['hasXattrs'] },
    )

    suite.kernel('are the same for every container, whatever one of them does', async () => {
      await suite.withContainer(async (first) => {
        await runToEnd(first, sh('rm /.foo; echo mine >/test/foo'))
        await suite.withContainer(async (second) => {
          expect(await outputOf(second, sh('cat /.foo /test/foo'))).toBe('a file with a dot\nthe file of the image\n')
        })
      })
    })

    suite.kernel('that are not there leave no container', async () => {
      const spec = { ...suite.base, handle: 'no-image', image: { uri: 'raw:///nosuch/image' } }
      await expect(suite.backend.create(spec)).rejects.toThrow()
      await expect(suite.backend.lookup('no-image')).rejects.toThrow(ContainerNotFoundError)
      expect((await suite.backend.containers()).map((one) => one.handle)).not.toContain('no-image')
    })
  })
}
