import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { extract, pack, type Header } from 'tar-stream'
import { describe, expect } from 'vitest'
import type { Container } from '../../backend.js'
import { StreamError } from '../../errors.js'
import { commands, sh } from '../commands.js'
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
        ).rejects.toThrow('error streaming in')
        const parts: Buffer[] = []
        for await (const part of tarOf({ a: randomBytes(5000) })) parts.push(part as Buffer)
        const cut = Readable.from([Buffer.concat(parts).subarray(0, 2000)])
        await expect(container.streamIn({ user: suite.user, path: '/tmp/x', tar: cut })).rejects.toThrow(StreamError)
        const missing = async (): Promise<unknown> =>
          await filesOf(await container.streamOut({ user: suite.user, path: '/nosuch/path' }))
        await expect(missing()).rejects.toThrow(StreamError)
      })
    })

    const listed = async (container: Container, path: string, user = suite.user): Promise<string[]> =>
      [...(await filesOf(await container.streamOut({ user, path }))).keys()].toSorted()

    suite.kernel(
      'L14: unpacks as the user asked, root when none is, from its home on when the path is relative',
      async () => {
        await suite.withContainer(async (container) => {
          const tar = (): Readable => tarOf({ file: 'text' })
          await container.streamIn({ user: suite.user, path: 'inbox/deep', tar: tar() })
          await container.streamIn({ user: '', path: '/', tar: tarOf({ 'at-the-top': 'text' }) })
          const script = `stat -c %U ~/inbox/deep ~/inbox/deep/file /at-the-top`
          const { stdout } = await runToEnd(container, { ...sh(script), user: suite.user })
          expect(stdout.toString()).toBe(`${suite.user}\n${suite.user}\nroot\n`)
        })
      },
    )

    suite.kernel('L14: says that permission is denied, and leaves nothing made by a mere look', async () => {
      await suite.withContainer(async (container) => {
        await runToEnd(container, sh('mkdir -m 700 /closed; echo x > /closed/file'))
        await expect(container.streamIn({ user: suite.user, path: '/closed', tar: tarOf({ a: 'b' }) })).rejects.toThrow(
          /error streaming in.*Permission denied/s,
        )
        await expect(listed(container, '/closed/file')).rejects.toThrow('Permission denied')
        await expect(listed(container, '/absent/')).rejects.toThrow('No such file or directory')
        expect((await runToEnd(container, sh('test -e /absent'))).exit.exitCode).toBe(1)
      })
    })

    suite.kernel('L17: names entries as they were asked for', async () => {
      await suite.withContainer(async (container) => {
        await container.streamIn({ user: suite.user, path: '/tmp/a/b', tar: tarOf({ 'c/d': '1', e: '2' }) })
        const names = async (path: string): Promise<string[]> =>
          await entriesOf(await container.streamOut({ user: '', path }))
        expect(await names('/tmp/a/b')).toEqual(['b/', 'b/c/', 'b/c/d', 'b/e'])
        expect(await names('/tmp/a/b/')).toEqual(['./', './c/', './c/d', './e'])
        expect(await names('/tmp/a/b/e')).toEqual(['e'])
      })
    })

    suite.kernel(
      'L15: keeps extended attributes on the way in and out',
      async () => {
        await suite.withContainer(async (container) => {
          const archive = pack()
          const pax = { 'SCHILY.xattr.user.colour': 'blue', 'SCHILY.xattr.trusted.no': 'x' }
          archive.entry({ name: 'marked', mode: 0o444, pax }, 'text')
          archive.entry({ name: 'dir', type: 'directory', pax: { 'SCHILY.xattr.user.shape': 'round' } })
          archive.finalize()
          await container.streamIn({ user: suite.user, path: '/tmp/x', tar: Readable.from(archive) })
          const attributes = await attributesOf(await container.streamOut({ user: suite.user, path: '/tmp/x/' }))
          expect(attributes).toEqual({
            './marked': { 'SCHILY.xattr.user.colour': 'blue' },
            './dir/': { 'SCHILY.xattr.user.shape': 'round' },
          })
          const { stdout } = await runToEnd(container, sh('stat -c %a /tmp/x/marked'))
          expect(stdout.toString()).toBe('444\n')
        })
      },
      { needs: ['hasXattrs'] },
    )

    suite.kernel('streams into and out of a container that was stopped', async () => {
      await suite.withContainer(async (container) => {
        await container.stop({ kill: true })
        await container.streamIn({ user: suite.user, path: '/tmp/late', tar: tarOf({ file: 'text' }) })
        expect(await listed(container, '/tmp/late/file')).toEqual(['file'])
      })
    })
  })
}

/** Names of all entries of a tar, sorted. */
async function entriesOf(tar: Readable): Promise<string[]> {
  const names: string[] = []
  await eachEntry(tar, (header) => names.push(header.name))
  return names.toSorted()
}

/** The extended attributes of each entry that has some. */
async function attributesOf(tar: Readable): Promise<Record<string, Record<string, string>>> {
  const found: Record<string, Record<string, string>> = {}
  await eachEntry(tar, ({ name, pax }) => {
    const kept = Object.entries(pax ?? {}).filter(([key]) => key.startsWith('SCHILY.xattr.'))
    if (kept.length > 0) found[name] = Object.fromEntries(kept.map(([key, value]) => [key, String(value)]))
  })
  return found
}

async function eachEntry(tar: Readable, see: (header: Header) => unknown): Promise<void> {
  const reader = extract()
  tar.on('error', (error) => reader.destroy(error))
  tar.pipe(reader)
  for await (const entry of reader) {
    see(entry.header)
    entry.resume()
  }
}
