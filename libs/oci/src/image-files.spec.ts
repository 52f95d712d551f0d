import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { readImageFiles, type FileWish, type StoredLayer } from './image-files.js'
import { mediaTypes } from './media-types.js'

type Entry =
  | [name: string, content: string]
  | [header: { name: string; type: 'symlink' | 'link' | 'directory'; linkname?: string }]

async function layer(...entries: Entry[]): Promise<StoredLayer> {
  const tar = pack()
  for (const [what, content] of entries) {
    if (typeof what === 'string') tar.entry({ name: what }, content ?? '')
    else tar.entry(what)
  }
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return stored(gzipSync(Buffer.concat(chunks)), mediaTypes.layerGzip)
}
const stored = (blob: Buffer, mediaType: string): StoredLayer => ({
  mediaType,
  bytes: blob.length,
  open: () => Readable.from([blob]),
})

const { signal } = new AbortController()
const LIMITS = { bytes: 100, files: 4 }
const wish = (path: string): FileWish =>
  path === 'db/big' ? 'note' : /^db\/(?:status|d\/[^/]+)$/.test(path) ? 'read' : undefined
async function read(...layers: StoredLayer[]): Promise<Record<string, string | null>> {
  const files = await readImageFiles(layers, wish, LIMITS, signal)
  return Object.fromEntries([...files].map(([path, bytes]) => [path, bytes?.toString() ?? null]))
}

describe('the files of an image', () => {
  const lower = (): Promise<StoredLayer> =>
    layer(['./db/status', 'one'], ['db/d/a', 'a'], ['other', 'x'], ['db/big', 'y'.repeat(999)])
  it('are those that are wanted, of whatever layer, with what is only to be noted', async () => {
    expect(await read(await lower(), await layer(['/db/d/b', 'b']))).toEqual({
      'db/status': 'one',
      'db/d/a': 'a',
      'db/d/b': 'b',
      'db/big': null,
    })
  })
  it.each<[what: string, upper: Entry[], left: object]>([
    ['another file', [['db/status', 'two']], { 'db/status': 'two', 'db/d/a': 'a', 'db/big': null }],
    ['a whiteout', [['db/.wh.status', '']], { 'db/d/a': 'a', 'db/big': null }],
    ['a whiteout of a folder above', [['.wh.db', '']], {}],
    [
      'an opaque folder, but for what is beside it',
      [
        ['db/d/.wh..wh..opq', ''],
        ['db/d/c', 'c'],
      ],
      { 'db/status': 'one', 'db/d/c': 'c', 'db/big': null },
    ],
    ['an opaque root', [['.wh..wh..opq', '']], {}],
    [
      'a symbolic link',
      [[{ name: 'db/status', type: 'symlink', linkname: '/etc/shadow' }]],
      { 'db/d/a': 'a', 'db/big': null },
    ],
    ['a hard link', [[{ name: 'db/status', type: 'link', linkname: 'other' }]], { 'db/d/a': 'a', 'db/big': null }],
    ['a link in place of a folder', [[{ name: 'db', type: 'symlink', linkname: '/proc/self' }]], {}],
    ['a folder in its place', [[{ name: 'db/status', type: 'directory' }]], { 'db/d/a': 'a', 'db/big': null }],
    [
      'a folder that was there',
      [[{ name: 'db/', type: 'directory' }]],
      { 'db/status': 'one', 'db/d/a': 'a', 'db/big': null },
    ],
    [
      'nothing whose name leads out',
      [
        ['../db/status', 'evil'],
        ['x/../db/status', 'evil'],
      ],
      { 'db/status': 'one', 'db/d/a': 'a', 'db/big': null },
    ],
  ])('are hidden by %s in a layer above', async (_what, upper, left) => {
    expect(await read(await lower(), await layer(...upper))).toEqual(left)
  })
  it('are not read beyond their size, their number, or what a layer may unpack to', async () => {
    await expect(read(await layer(['db/status', 'x'.repeat(101)]))).rejects.toThrow('more in this image')
    const half = 'x'.repeat(51)
    expect(await read(await layer(['db/status', half]), await layer(['db/status', half]))).toEqual({
      'db/status': half,
    })
    await expect(read(await layer(['db/status', half]), await layer(['db/d/a', half]))).rejects.toThrow(
      'more in this image',
    )
    const many = ['a', 'b', 'c', 'd', 'e'].map((name): Entry => [`db/d/${name}`, ''])
    await expect(read(await layer(...many))).rejects.toThrow('more in this image')
    const zeros = Buffer.alloc(1024 ** 2)
    const endless = Readable.from(
      (function* () {
        for (;;) yield zeros
      })(),
    )
    const bomb = { mediaType: mediaTypes.layerTar, bytes: 1_000, open: () => endless }
    await expect(read(bomb)).rejects.toThrow('more than 268435456 bytes')
  })
  it('of a layer of bytes somebody made up are none, or it is refused, and never more than the limits', async () => {
    const blob = fc.oneof(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.array(fc.tuple(fc.string({ maxLength: 120 }), fc.string({ maxLength: 60 })), { maxLength: 6 }),
    )
    await fc.assert(
      fc.asyncProperty(blob, async (made) => {
        const one = Array.isArray(made)
          ? await layer(...made.map(([name, text]): Entry => [`db/d/${name}`, text])).catch(() => null)
          : stored(Buffer.from(made), mediaTypes.layerTar)
        if (one === null) return
        const files = await readImageFiles([one], wish, LIMITS, signal).catch(() => new Map<string, Buffer>())
        expect(files.size).toBeLessThanOrEqual(LIMITS.files)
        for (const path of files.keys()) expect(path).toMatch(/^db\/(?:status|big|d\/[^/]+)$/)
        expect([...files.values()].reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0)).toBeLessThanOrEqual(
          LIMITS.bytes,
        )
      }),
      { numRuns: 100 },
    )
  })
})
