import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pack, type Header } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import { StreamError, type Container } from '@croft/garden-api'
import { filesOf, tarOf } from '@croft/garden-api/conformance'
import { image, makeHome, output, type TestHome } from './support/backend-rig.js'

type Entry = Partial<Header> & { name: string; data?: string }

const archiveOf = (...entries: Entry[]): Readable => {
  const archive = pack()
  for (const { data, ...header } of entries) archive.entry(header as Header, data ?? '')
  archive.finalize()
  return Readable.from(archive)
}

/** An archive of one header with a field changed, and its checksum with it. */
async function altered(change: (header: Buffer) => void): Promise<Readable> {
  const parts: Buffer[] = []
  for await (const part of tarOf({ file: 'text' })) parts.push(part as Buffer)
  const bytes = Buffer.concat(parts)
  change(bytes.subarray(0, 512))
  bytes.fill(' ', 148, 156)
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return Readable.from([bytes])
}

describe('files streamed into and out of a container', () => {
  let home: TestHome
  let backend: LinuxBackend
  let container: Container

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open({ streamLimits: { bytes: 100_000, entries: 20 } })
    await backend.recover()
    container = await backend.create({ ...image, handle: 'files' })
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  const streamIn = async (tar: Readable, path = '/tmp/in', user = 'root'): Promise<void> =>
    await container.streamIn({ user, path, tar })

  it.each<[string, Entry[], RegExp]>([
    ['a name that climbs', [{ name: 'a/../../up', data: 'x' }], /leads out of where it is unpacked/],
    ['a hard link that climbs', [{ name: 'x', type: 'link', linkname: '../../etc/passwd' }], /leads out/],
    ['a device node', [{ name: 'disk', type: 'block-device' }], /device nodes are not allowed/],
    ['a path nobody can have', [{ name: 'deep/'.repeat(1000), data: '' }], /too long/],
    [
      'a link to itself as its folder',
      [
        { name: 'l', type: 'symlink', linkname: 'l' },
        { name: 'l/x', data: 'x' },
      ],
      /symbolic links/,
    ],
    [
      'attributes of holes',
      [{ name: 's', data: 'x', pax: { 'GNU.sparse.map': '0,1' } }],
      /sparse files are not supported/,
    ],
  ])('may not hold %s', async (_what, entries, why) => {
    const failed = streamIn(archiveOf(...entries))
    await expect(failed).rejects.toThrow(StreamError)
    await expect(failed).rejects.toThrow(why)
  })

  it.each<[string, (header: Buffer) => void, RegExp]>([
    ['of a size beyond all limits', (header) => header.fill(0xff, 124, 136), /more than 100000 bytes/],
    ['of a size that is no number', (header) => header.write('zzzz', 124), /bad number/],
    ['of an old sparse type', (header) => header.write('S', 156), /sparse/],
    ['of a type nobody knows', (header) => header.write('?', 156), /unknown type/],
    [
      'of a long name that is too long',
      (header) => header.write('L', 156) && header.write('77777777', 124),
      /too long/,
    ],
  ])('may not have a header %s', async (_what, change, why) => {
    await expect(streamIn(await altered(change))).rejects.toThrow(why)
  })

  it('stay inside the container when a link of the archive, or of the container, leads out of it', async () => {
    const outside = join(home.dir, 'outside')
    await output(container, `mkdir -p ${outside}`)
    await streamIn(archiveOf({ name: 'out', type: 'symlink', linkname: outside }), '/tmp/links')
    await streamIn(archiveOf({ name: 'up', type: 'symlink', linkname: '../../../../../../../../../../' }), '/tmp/links')
    await streamIn(tarOf({ passwd: 'inside' }), '/tmp/links/out')
    await streamIn(tarOf({ 'croft-escaped': 'inside' }), '/tmp/links/up')
    await expect(stat(outside)).rejects.toThrow('ENOENT')
    await expect(stat('/croft-escaped')).rejects.toThrow('ENOENT')
    expect(await output(container, `cat ${outside}/passwd /croft-escaped`)).toBe('insideinside')
    const hosts = await readFile('/etc/hosts', 'utf8')
    const links = await filesOf(await container.streamOut({ user: '', path: '/tmp/links/up/etc/hosts' }))
    expect(links.get('hosts')?.toString()).not.toBe(hosts)
  })

  it('are refused beyond the byte limit and beyond the entry limit, each by its name', async () => {
    const large = { big: Buffer.alloc(60_000), bigger: Buffer.alloc(60_000) }
    await expect(streamIn(tarOf(large), '/tmp/large')).rejects.toMatchObject({
      status: 413,
      fields: { bytes: 'more than 100000 bytes' },
    })
    const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`f${index}`, 'x']))
    await expect(streamIn(tarOf(many), '/tmp/many')).rejects.toMatchObject({
      fields: { entries: 'more than 20 entries' },
    })
    await output(container, 'mkdir /tmp/wide && cd /tmp/wide && touch $(seq 30); head -c 200000 /dev/zero > /tmp/long')
    const read = async (path: string): Promise<unknown> => await filesOf(await container.streamOut({ user: '', path }))
    await expect(read('/tmp/wide')).rejects.toMatchObject({ fields: { entries: 'more than 20 entries' } })
    await expect(read('/tmp/long')).rejects.toMatchObject({ fields: { bytes: 'more than 100000 bytes' } })
  })

  it('come out of folders nested deeper than any path may be long as an error, not as a crash', async () => {
    const nest = 'd=$(printf "%0200d" 0); i=0; cd /tmp; while [ $i -lt 30 ]; do mkdir -p $d && cd $d; i=$((i+1)); done'
    await output(container, nest)
    const read = async (): Promise<unknown> =>
      await filesOf(await container.streamOut({ user: '', path: `/tmp/${'0'.repeat(200)}` }))
    await expect(read()).rejects.toThrow(/more than 20 entries|too long/)
  })

  it('keep setuid and sticky bits, and take the rest of the mode through the mask', async () => {
    const entries = [0o777, 0o4755, 0o644].map((mode) => ({ name: `m${mode.toString(8)}`, mode, data: 'x' }))
    await streamIn(archiveOf(...entries, { name: 'p', type: 'fifo' as const }), '/tmp/modes')
    expect(await output(container, 'cd /tmp/modes && stat -c "%n %a %F" *')).toBe(
      'm4755 4755 regular file\nm644 644 regular file\nm777 755 regular file\np 644 fifo\n',
    )
  })
})
