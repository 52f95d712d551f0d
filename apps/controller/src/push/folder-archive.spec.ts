import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pack } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { run } from '@croft/kit'
import { importFolder } from './folder-archive.js'
import { git } from './git.js'
import { PushRefused } from './refusal.js'
import { TarGuard } from './tar-guard.js'

const REF = 'refs/croft/folders/one'
let repository: string

beforeEach(async () => {
  repository = await mkdtemp(join(tmpdir(), 'croft-folder-'))
  await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', repository], { timeoutMs: 10_000 })
})
afterEach(async () => await rm(repository, { recursive: true, force: true }))

const take = (tar: Readable | Buffer) =>
  importFolder(repository, Readable.from(tar, { objectMode: false }), {
    ref: REF,
    author: { name: 'Zoë <z>', nowMs: 1_700_000_000_000 },
  })

async function bytesOf(tar: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

describe('a folder as an archive', () => {
  it('becomes one commit with its files, modes and links, whatever their names and bytes', async () => {
    const tar = pack()
    tar.entry({ name: 'Dockerfile' }, 'FROM scratch\n')
    tar.entry({ name: `deep/${'long/'.repeat(30)}ümlaut "quoted" \\ back`, mode: 0o755 }, Buffer.from([0, 1, 255, 10]))
    tar.entry({ name: 'empty' }, '')
    tar.entry({ name: 'here', type: 'symlink', linkname: 'deep/../Dockerfile' })
    tar.finalize()
    await take(tar as unknown as Readable)
    const listed = await git(repository, ['ls-tree', '-r', '-z', REF])
    expect(listed.split('\0').map((line) => line.replace(/ [0-9a-f]{40}\t/, ' '))).toEqual([
      '100644 blob Dockerfile',
      `100755 blob deep/${'long/'.repeat(30)}ümlaut "quoted" \\ back`,
      '100644 blob empty',
      '120000 blob here',
      '',
    ])
    expect(await git(repository, ['cat-file', 'blob', `${REF}:here`])).toBe('deep/../Dockerfile')
    expect(await git(repository, ['log', '--format=%cn %ct', REF])).toBe('Zo? ?z? 1700000000\n')
    await git(repository, ['fsck', '--strict'])
  })

  it('is the same tree again for the same files, in whatever order they come', async () => {
    const trees = []
    for (const names of [
      ['b', 'a/c'],
      ['a/c', 'b'],
    ]) {
      const tar = pack()
      for (const name of names) tar.entry({ name }, name)
      tar.finalize()
      await take(tar as unknown as Readable)
      trees.push(await git(repository, ['rev-parse', `${REF}^{tree}`]))
      await git(repository, ['update-ref', '-d', REF])
    }
    expect(trees[0]).toBe(trees[1])
  })

  it('that is hostile leaves no commit behind', async () => {
    const tar = pack()
    tar.entry({ name: 'a' }, 'a')
    tar.entry({ name: '../../canary' }, 'evil')
    tar.finalize()
    await expect(take(tar as unknown as Readable)).rejects.toThrow(PushRefused)
    expect(await git(repository, ['for-each-ref'])).toBe('')
  })

  it.each<[string, () => Promise<Buffer>]>([
    ['breaks off within a file', async () => (await bytesOf(archiveOf(100_000))).subarray(0, 50_000)],
    ['is no tar', async () => Buffer.alloc(10_240, 'x')],
    [
      'has a flipped bit in a header',
      async () => {
        const bytes = await bytesOf(archiveOf(10))
        bytes[3] = (bytes[3] ?? 0) ^ 1
        return bytes
      },
    ],
  ])('that %s is refused', async (_what, bytes) => {
    await expect(take(await bytes())).rejects.toThrow(/^the folder cannot be taken: it is no/)
  })

  it('ends before a header that a reader would keep in memory is read', async () => {
    const tar = pack()
    tar.entry({ name: 'a', pax: { comment: 'x'.repeat(100_000) } }, 'a')
    tar.finalize()
    await expect(take(tar as unknown as Readable)).rejects.toThrow(/a header of it is too large/)
  })

  it('is read no further than it may be large', async () => {
    const guard = new TarGuard(20_000)
    let passed = 0
    const reading = (async () => {
      for await (const chunk of Readable.from(archiveOf(100_000)).pipe(guard)) passed += (chunk as Buffer).length
    })()
    await expect(reading).rejects.toThrow(/larger than/)
    expect(passed).toBeLessThanOrEqual(20_000)
  })
})

function archiveOf(bytes: number): AsyncIterable<unknown> {
  const tar = pack()
  tar.entry({ name: 'a' }, Buffer.alloc(bytes, 'y'))
  tar.finalize()
  return tar as unknown as AsyncIterable<unknown>
}
