import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { extract } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DigestStream } from './digest.js'
import { layerTar } from './layer-tar.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oci-tar-'))
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

const OWNER = { uid: 1001, gid: 1001 }

async function makeTree(name: string, files: string[]): Promise<string> {
  const tree = join(folder, name)
  for (const file of files) {
    await mkdir(join(tree, 'layers/a', file, '..'), { recursive: true })
    await writeFile(join(tree, 'layers/a', file), `content of ${file}`)
  }
  return tree
}

async function digestOfTree(tree: string): Promise<string> {
  const digest = new DigestStream()
  for await (const chunk of layerTar(tree, ['layers'], OWNER).pipe(digest)) void chunk
  return digest.digest
}

describe('the tar of a layer', () => {
  it('is the same for the same tree, whenever and in whatever order its files were made', async () => {
    const one = await makeTree('one', ['b', 'a', 'deep/er/c', `long-${'x'.repeat(200)}/d`])
    const other = await makeTree('other', [`long-${'x'.repeat(200)}/d`, 'deep/er/c', 'a', 'b'])
    await utimes(join(other, 'layers/a/b'), 1, 1)
    expect(await digestOfTree(one)).toBe(await digestOfTree(other))
  })

  it('has absolute names with their parents, numeric ids, one time and no user names', async () => {
    const tree = await makeTree('tree', ['bin/run'])
    await chmod(join(tree, 'layers/a/bin/run'), 0o755)
    await symlink('../bin/run', join(tree, 'layers/a/link'))
    const reader = extract()
    layerTar(tree, ['layers'], OWNER).pipe(reader)
    const entries: [string, string][] = []
    for await (const entry of reader) {
      const { name, type, uid, gid, mtime, uname, gname, linkname } = entry.header
      expect({ uid, gid, uname, gname, time: mtime?.toISOString() }).toEqual({
        uid: 1001,
        gid: 1001,
        uname: '',
        gname: '',
        time: '1980-01-01T00:00:01.000Z',
      })
      entries.push([name.replace(/\/$/, ''), type === 'symlink' ? `-> ${linkname}` : (type ?? '')])
      entry.resume()
    }
    expect(entries).toEqual([
      ['/layers', 'directory'],
      ['/layers/a', 'directory'],
      ['/layers/a/bin', 'directory'],
      ['/layers/a/bin/run', 'file'],
      ['/layers/a/link', '-> ../bin/run'],
    ])
  })

  it('fails with what tar said when the tree is not there', async () => {
    const drain = async (): Promise<void> => {
      for await (const chunk of layerTar(join(folder, 'missing'), ['layers'], OWNER)) void chunk
    }
    await expect(drain()).rejects.toThrow(/tar failed/)
  })
})
