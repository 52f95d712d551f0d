import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect } from 'vitest'
import { StreamError, UserNotFoundError } from '../../errors.js'
import { commands } from '../commands.js'
import { filesOf, runToEnd, tarOf } from '../streams.js'
import type { Suite } from '../suite.js'

/** Streaming files in and out. */
export function describeFiles(suite: Suite): void {
  describe('files', () => {
    suite.api('takes a tar in and gives it out again', async () => {
      const long = `${'deep/'.repeat(30)}file`
      const big = randomBytes(300_000)
      await suite.withContainer(async (container) => {
        await container.streamIn({
          user: suite.user,
          path: '/tmp/in',
          tar: tarOf({ 'a.txt': 'one', 'sub/b.txt': 'two', [long]: big, empty: '' }),
        })
        expect((await runToEnd(container, commands.show('/tmp/in/sub/b.txt'))).stdout.toString()).toBe('two')
        const inner = await filesOf(await container.streamOut({ user: suite.user, path: '/tmp/in/' }))
        expect([...inner.keys()].toSorted()).toEqual(['a.txt', long, 'empty', 'sub/b.txt'].toSorted())
        expect(inner.get(long)?.equals(big)).toBe(true)
        const outer = await filesOf(await container.streamOut({ user: suite.user, path: '/tmp/in' }))
        expect(outer.get('in/a.txt')?.toString()).toBe('one')
        const single = await filesOf(await container.streamOut({ user: suite.user, path: '/tmp/in/a.txt' }))
        expect(single.get('a.txt')?.toString()).toBe('one')
      })
    })

    suite.api('fails for a user that is not there, an archive cut short and a path that is not there', async () => {
      await suite.withContainer(async (container) => {
        await expect(
          container.streamIn({ user: 'nosuch-user', path: '/tmp/x', tar: tarOf({ a: 'b' }) }),
        ).rejects.toThrow(UserNotFoundError)
        const parts: Buffer[] = []
        for await (const part of tarOf({ a: randomBytes(5000) })) parts.push(part as Buffer)
        const cut = Readable.from([Buffer.concat(parts).subarray(0, 2000)])
        await expect(container.streamIn({ user: suite.user, path: '/tmp/x', tar: cut })).rejects.toThrow(StreamError)
        const missing = async (): Promise<unknown> =>
          await filesOf(await container.streamOut({ user: suite.user, path: '/nosuch/path' }))
        await expect(missing()).rejects.toThrow(StreamError)
      })
    })
  })
}
