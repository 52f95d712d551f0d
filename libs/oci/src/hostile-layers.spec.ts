import { createHash } from 'node:crypto'
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { parseDigest, type Digest } from '@croft/kit'
import { pack, type Header } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from './digest.js'
import { mediaTypes } from './media-types.js'
import { unpackBlob } from './unpack-blob.js'
import { unpackLayer, unpackLimitsOf, whiteoutOf, type LayerMarks } from './unpack-layer.js'

/** Archives made to get out of the tree they are unpacked into, to leave something behind, or to fill the disk. */

let folder: string
let root: string
let canary: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oci-hostile-'))
  root = join(folder, 'root')
  canary = join(folder, 'canary')
  await mkdir(root)
  await mkdir(canary)
  await writeFile(join(canary, 'secret'), 'untouched')
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

type Entry = Partial<Header> & { name: string; content?: string | Buffer }
const ids = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack()
  const chunks: Buffer[] = []
  tar.on('data', (chunk) => chunks.push(chunk as Buffer))
  for (const { content, ...header } of entries) {
    if (content === undefined) tar.entry({ ...ids, ...header })
    else tar.entry({ ...ids, ...header }, content)
  }
  tar.finalize()
  await new Promise<void>((resolve) => tar.on('end', () => resolve()))
  return Buffer.concat(chunks)
}

const file = (name: string, more: Partial<Header> = {}): Entry => ({ name, content: 'x', ...more })
const symlink = (name: string, linkname: string): Entry => ({ name, type: 'symlink', linkname })
const hardLink = (name: string, linkname: string): Entry => ({ name, type: 'link', linkname })
const of = (type: NonNullable<Header['type']>, name = 'a'): Entry => ({ name, type, devmajor: 1, devminor: 3 })

/** A tar header whose fields no writer would write. */
function rawHeader(name: string, fields: { size?: string; type?: string }): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0)
  block.write('0000644\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  block.write(fields.size ?? '00000000000\0', 124)
  block.write('00000000000\0', 136)
  block.write('        ', 148)
  block.write(fields.type ?? '0', 156)
  block.write('ustar\u000000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

async function unpack(tar: Buffer, compression: 'zstd' | 'gzip' = 'zstd'): Promise<LayerMarks | undefined> {
  const blob = compression === 'zstd' ? zstdCompressSync(tar) : gzipSync(tar)
  const mediaType = compression === 'zstd' ? mediaTypes.layerZstd : mediaTypes.dockerLayerGzip
  const descriptor = { mediaType, digest: digestOf(blob), size: blob.length }
  let seen: LayerMarks | undefined
  await unpackBlob(Readable.from([blob]), { descriptor, diffId: digestOf(tar) }, root, {
    onMarks: (marks) => {
      seen = marks
      return Promise.resolve()
    },
  })
  return seen
}

/** Everything below a directory: type, mode and path. */
async function walk(directory: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    const { mode } = await lstat(join(entry.parentPath, entry.name))
    found.push(`${(mode & 0o7777).toString(8)} ${entry.name}`)
  }
  return found
}

const REFUSED: [string, Entry[]][] = [
  ['a name that climbs out', [file('../canary/evil')]],
  ['a name that climbs out in the middle', [file('a/b/../../../canary/evil')]],
  ['an absolute name that climbs out', [file('/../canary/evil')]],
  ['a file below a symlink to elsewhere', [symlink('a', '../canary'), file('a/evil')]],
  ['a file below a symlink to an absolute path', [symlink('a', '/tmp'), file('a/evil')]],
  ['a folder in the place of a symlink', [symlink('a', '../canary'), { name: 'a', type: 'directory' }, file('a/evil')]],
  ['a file in the place of a symlink', [symlink('a', '../canary/secret'), file('a')]],
  ['a symlink chain', [symlink('a', 'b'), symlink('b', '..'), file('a/canary/evil')]],
  ['a hard link to a file of the host', [hardLink('a', '/etc/passwd')]],
  ['a hard link that climbs out', [hardLink('a', '../canary/secret')]],
  ['a hard link through a symlink', [symlink('a', '../canary'), hardLink('b', 'a/secret')]],
  [
    'a hard link to a symlink, then a file through it',
    [symlink('a', '../canary/secret'), hardLink('b', 'a'), file('b')],
  ],
  ['a character device', [of('character-device')]],
  ['a block device', [of('block-device')]],
  ['a pipe', [of('fifo')]],
  ['a name with a zero byte', [{ ...file('a'), pax: { path: 'a\0../canary/evil' } }]],
  ['a name longer than any file system takes', [file('x'.repeat(300))]],
  ['a path longer than any file system takes', [file(`${'d/'.repeat(2_500)}x`)]],
  ['the same file twice', [file('a'), file('a')]],
  ['a whiteout that names nothing', [file('a/.wh.')]],
  ['a whiteout of the directory itself', [file('a/.wh..')]],
  ['a whiteout of the parent', [file('a/.wh...')]],
  ['a whiteout of a whiteout', [file('a/.wh..wh.b')]],
  ['a whiteout that climbs out', [file('../.wh.canary')]],
  ['a whiteout below a symlink', [symlink('a', '../canary'), file('a/.wh.secret')]],
  ['a whiteout that is a symlink', [symlink('.wh.a', '../canary')]],
  ['a whiteout in the middle of a name', [file('.wh.a/b')]],
]

describe('a hostile layer', () => {
  it.each(REFUSED)('with %s is refused, and nothing outside is touched', async (_what, entries) => {
    await expect(unpack(await tarOf(entries))).rejects.toThrow()
    expect(await readFile(join(canary, 'secret'), 'utf8')).toBe('untouched')
    expect(await walk(canary)).toHaveLength(1)
    expect((await readdir(folder)).toSorted()).toEqual(['canary', 'root'])
  })

  it.each<[string, Buffer[]]>([
    ['a negative size', [rawHeader('a', { size: '-0000000001\0' }), Buffer.alloc(1024)]],
    ['a size that is no number', [rawHeader('a', { size: '99999999999\0' }), Buffer.alloc(1024)]],
    ['a type nobody knows', [rawHeader('a', { type: 'Z' }), Buffer.alloc(1024)]],
    ['a sparse file', [rawHeader('a', { type: 'S' }), Buffer.alloc(1024)]],
    [
      'a long name of gigabytes',
      [rawHeader('././@LongLink', { type: 'L', size: '77777777777\0' }), Buffer.alloc(4096)],
    ],
    ['attributes of gigabytes', [rawHeader('PaxHeader', { type: 'x', size: '77777777777\0' }), Buffer.alloc(4096)]],
    ['no tar in it', [Buffer.from('this is not a tar'.repeat(100))]],
  ])('with %s is refused', async (_what, parts) => {
    await expect(unpack(Buffer.concat(parts))).rejects.toThrow()
  })

  it('keeps no set-uid, set-gid or device bits of what it may hold', async () => {
    await unpack(await tarOf([file('a', { mode: 0o6755 }), { name: 'd', type: 'directory', mode: 0o7777 }]))
    expect((await walk(root)).toSorted()).toEqual(['1777 d', '755 a'])
  })
})

describe('a bomb', () => {
  const LIMITS = { entries: 1_000, bytes: 4 * 1024 * 1024 }
  const inFolder = async (): Promise<number> => {
    let bytes = 0
    for (const entry of await readdir(root, { recursive: true })) bytes += (await lstat(join(root, entry))).size
    return bytes
  }
  /** Zeros without end, in pieces; how much of it was taken. */
  function endless(head: Buffer): { stream: Readable; taken: () => number } {
    let taken = 0
    const zeros = Buffer.alloc(64 * 1024)
    const stream = Readable.from(
      (function* () {
        yield head
        for (;;) {
          taken += zeros.length
          yield zeros
        }
      })(),
      { highWaterMark: 1 },
    )
    return { stream, taken: () => taken }
  }

  it.each<[string, () => Buffer]>([
    ['a file that says its size', () => rawHeader('a', { size: '77777777777\0' })],
    ['a file within the limit, then zeros', () => Buffer.concat([rawHeader('a', {}), Buffer.alloc(1024)])],
    ['attributes just below what is read at once', () => rawHeader('p', { type: 'x', size: '00017000000\0' })],
  ])('of %s is stopped at 1.1 times the limit', async (_what, head) => {
    const { stream, taken } = endless(head())
    await expect(unpackLayer(stream, root, LIMITS)).rejects.toThrow()
    expect(taken()).toBeLessThanOrEqual(LIMITS.bytes * 1.1)
    expect(await inFolder()).toBeLessThanOrEqual(LIMITS.bytes * 1.1)
  })

  it('of many files is stopped at its number', async () => {
    const tar = await tarOf(Array.from({ length: 60 }, (_, at) => file(`f${at}`)))
    const limits = { ...LIMITS, entries: 50 }
    await expect(unpackLayer(Readable.from([tar]), root, limits)).rejects.toThrow('more than 50 entries')
    expect(await readdir(root)).toHaveLength(50)
  })

  it.each(['zstd', 'gzip'] as const)(
    'that %s made small is stopped by what its blob may become',
    async (compression) => {
      const limit = unpackLimitsOf(1_000).bytes
      expect(limit).toBe(256 * 1024 * 1024)
      expect(unpackLimitsOf(1024 ** 3).bytes).toBe(8 * 1024 ** 3)
      const tar = await tarOf([{ name: 'a', content: Buffer.alloc(8 * 1024 * 1024) }])
      const blob = compression === 'zstd' ? zstdCompressSync(tar) : gzipSync(tar)
      const mediaType = compression === 'zstd' ? mediaTypes.layerZstd : mediaTypes.layerGzip
      const descriptor = { mediaType, digest: digestOf(blob), size: blob.length }
      const unpacking = unpackBlob(Readable.from([blob]), { descriptor, diffId: digestOf(tar) }, root, {
        limits: LIMITS,
      })
      await expect(unpacking).rejects.toThrow(`more than ${LIMITS.bytes} bytes`)
      expect(await inFolder()).toBeLessThanOrEqual(LIMITS.bytes * 1.1)
    },
  )
})

describe('a damaged layer', () => {
  it('of which any one bit is flipped is refused', async () => {
    const tar = await tarOf([file('a'), symlink('b', 'a'), file('c/.wh.d')])
    const blob = zstdCompressSync(tar)
    const descriptor = { mediaType: mediaTypes.layerZstd, digest: digestOf(blob), size: blob.length }
    for (let at = 0; at < blob.length; at += 7) {
      const flipped = Buffer.from(blob)
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at)
      await rm(root, { recursive: true })
      await mkdir(root)
      const unpacking = unpackBlob(Readable.from([flipped]), { descriptor, diffId: digestOf(tar) }, root, {
        onMarks: () => Promise.resolve(),
      })
      await expect(unpacking, `bit at ${at}`).rejects.toThrow()
    }
  })

  it.each<[string, (tar: Buffer) => { diffId?: Digest; size?: number; digest?: Digest }]>([
    ['unpacks to something else than promised', () => ({ diffId: digestOf('other') })],
    ['is longer than promised', () => ({ size: 10 })],
    ['is another one', () => ({ digest: parseDigest(`sha256:${createHash('sha256').update('x').digest('hex')}`) })],
  ])('that %s is refused', async (_what, changes) => {
    const tar = await tarOf([file('a')])
    const blob = zstdCompressSync(tar)
    const { diffId, ...others } = changes(tar)
    const descriptor = { mediaType: mediaTypes.layerZstd, digest: digestOf(blob), size: blob.length, ...others }
    const unpacking = unpackBlob(Readable.from([blob]), { descriptor, diffId: diffId ?? digestOf(tar) }, root)
    await expect(unpacking).rejects.toThrow()
  })
})

describe('what a layer hides', () => {
  it('is told: names that are gone, and directories that nothing shows through', async () => {
    const entries = [file('a/.wh.gone'), file('b/.wh..wh..opq'), file('b/new'), file('.wh.top'), file('.wh.a b')]
    const marks = await unpack(await tarOf(entries), 'gzip')
    expect(marks).toEqual({ whiteouts: ['a/gone', 'top', 'a b'], opaque: ['b'] })
    expect((await readdir(root, { recursive: true })).toSorted()).toEqual(['a', 'b', 'b/new'])
  })
  it('does not include what the layer has itself, in any order', async () => {
    const entries = [file('.wh.a'), file('a'), file('b'), file('.wh.b'), symlink('s', 'a'), file('.wh.s')]
    expect(await unpack(await tarOf(entries))).toBeUndefined()
  })
  it('of a directory that it makes anew is everything below', async () => {
    const entries: Entry[] = [file('.wh.d'), { name: 'd', type: 'directory' }, file('d/e/.wh.x')]
    expect(await unpack(await tarOf(entries))).toEqual({ whiteouts: [], opaque: ['d'] })
  })
  it.each(['.wh.', '.wh..', '.wh...', '.wh..wh.x'])('is never %j', (base) => {
    expect(() => whiteoutOf(base)).toThrow()
  })
})
