import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pack, type Header } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unpackLayer } from './unpack-layer.js'

let folder: string
let root: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oci-unpack-'))
  root = join(folder, 'root')
  await mkdir(root)
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

type Entry = Partial<Header> & { name: string; content?: string }
const ids = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

async function tarOf(entries: Entry[]): Promise<Readable> {
  const tar = pack()
  const chunks: Buffer[] = []
  tar.on('data', (chunk) => chunks.push(chunk as Buffer))
  for (const { content, ...header } of entries) {
    if (content === undefined) tar.entry({ ...ids, ...header })
    else tar.entry({ ...ids, ...header }, content)
  }
  tar.finalize()
  await new Promise<void>((resolve) => tar.on('end', () => resolve()))
  return Readable.from([Buffer.concat(chunks)])
}

const unpack = async (entries: Entry[], limits?: { entries: number; bytes: number }): Promise<unknown> =>
  unpackLayer(await tarOf(entries), root, limits)

describe('unpacking a layer', () => {
  it('makes files, folders, links and the parents nobody named, all of one time', async () => {
    await unpack([
      { name: '/layers/a/run', mode: 0o4755, content: '#!/bin/sh' },
      { name: '/layers/a/same', type: 'link', linkname: '/layers/a/run' },
      { name: '/layers/a/link', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'layers/empty/', type: 'directory', mode: 0o700 },
    ])
    expect(await readFile(join(root, 'layers/a/same'), 'utf8')).toBe('#!/bin/sh')
    expect(await readlink(join(root, 'layers/a/link'))).toBe('/etc/passwd')
    const run = await lstat(join(root, 'layers/a/run'))
    expect((run.mode & 0o7777).toString(8)).toBe('755') // no set-uid bit
    expect(run.mtime.toISOString()).toBe('1980-01-01T00:00:01.000Z')
    expect((await lstat(join(root, 'layers'))).mtime.toISOString()).toBe('1980-01-01T00:00:01.000Z')
    expect(((await lstat(join(root, 'layers/empty'))).mode & 0o777).toString(8)).toBe('700')
  })

  it.each<[string, Entry[]]>([
    ['a name that climbs out', [{ name: '../evil', content: 'x' }]],
    ['a name that climbs out in the middle', [{ name: 'a/../../evil', content: 'x' }]],
    [
      'a file below a symlink',
      [
        { name: 'a', type: 'symlink', linkname: '..' },
        { name: 'a/evil', content: 'x' },
      ],
    ],
    [
      'a folder over a symlink',
      [
        { name: 'a', type: 'symlink', linkname: '..' },
        { name: 'a', type: 'directory' },
      ],
    ],
    [
      'a file over a symlink',
      [
        { name: 'a', type: 'symlink', linkname: '../evil' },
        { name: 'a', content: 'x' },
      ],
    ],
    ['a hard link to a file of the host', [{ name: 'a', type: 'link', linkname: '/etc/passwd' }]],
    [
      'a hard link through a symlink',
      [
        { name: 'a', type: 'symlink', linkname: '/etc' },
        { name: 'b', type: 'link', linkname: 'a/passwd' },
      ],
    ],
    ['a device', [{ name: 'a', type: 'character-device', devmajor: 1, devminor: 3 }]],
    ['a pipe', [{ name: 'a', type: 'fifo' }]],
    ['a whiteout', [{ name: 'a/.wh.b', content: '' }]],
    ['an opaque mark', [{ name: 'a/.wh..wh..opq', content: '' }]],
    [
      'the same file twice',
      [
        { name: 'a', content: 'x' },
        { name: 'a', content: 'y' },
      ],
    ],
  ])('refuses %s and leaves everything outside alone', async (_what, entries) => {
    await expect(unpack(entries)).rejects.toThrow()
    expect(await readdir(folder)).toEqual(['root'])
  })

  it('refuses more entries and more bytes than allowed', async () => {
    const many = Array.from({ length: 5 }, (_, at) => ({ name: `f${at}`, content: '1234567890' }))
    await expect(unpack(many, { entries: 4, bytes: 100_000 })).rejects.toThrow('more than 4 entries')
    await rm(root, { recursive: true })
    await mkdir(root)
    await expect(unpack(many, { entries: 10, bytes: 20 })).rejects.toThrow('more than 20 bytes')
  })

  it('refuses a tar that ends early', async () => {
    const whole = await tarOf([{ name: 'a', content: 'x'.repeat(5000) }])
    const chunks: Buffer[] = []
    for await (const chunk of whole) chunks.push(chunk as Buffer)
    await expect(unpackLayer(Readable.from([Buffer.concat(chunks).subarray(0, 2000)]), root)).rejects.toThrow()
  })
})
