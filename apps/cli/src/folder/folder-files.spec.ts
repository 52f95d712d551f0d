import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FolderUnusable, listFolder } from './folder-files.js'
import { folderTar } from './folder-tar.js'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'folder-files-'))
  writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const failure = async (of: Promise<unknown>): Promise<unknown> => of.catch((error: unknown) => error)

describe('a folder that is sent', () => {
  it.each(['', 'deep'])('is refused for a name that is not UTF-8, below %j, unless that is ignored', async (below) => {
    mkdirSync(join(root, below), { recursive: true })
    writeFileSync(Buffer.concat([Buffer.from(`${join(root, below)}/caf`), Buffer.from([0xe9])]), 'x')
    const refused = await failure(listFolder(root))
    expect(refused).toBeInstanceOf(FolderUnusable)
    expect(String(refused)).toMatch(/the name (?:deep\/)?caf\uFFFD is not UTF-8/)
    writeFileSync(join(root, '.dockerignore'), '**/caf*\n')
    expect((await listFolder(root)).files.map(({ path }) => path)).toEqual(['.dockerignore', 'Dockerfile'])
  })

  it('is an archive however slowly it is taken, and nothing piles up on the way', async () => {
    writeFileSync(join(root, 'large'), Buffer.alloc(4 * 1024 * 1024, 'x'))
    const warnings: Error[] = []
    const hear = (warning: Error): number => warnings.push(warning)
    process.on('warning', hear)
    let sent = 0
    let bytes = 0
    for await (const chunk of folderTar(await listFolder(root), (all) => (sent = all)))
      bytes += (chunk as Buffer).length
    await new Promise((done) => setImmediate(done)) // warnings come a moment later
    process.off('warning', hear)
    expect(warnings).toEqual([])
    expect(sent).toBe(4 * 1024 * 1024 + 'FROM scratch\n'.length)
    expect(bytes % 512).toBe(0)
  })

  it('ends with whoever takes it', async () => {
    writeFileSync(join(root, 'large'), Buffer.alloc(4 * 1024 * 1024, 'x'))
    const sent: number[] = []
    for await (const chunk of folderTar(await listFolder(root), (all) => sent.push(all))) {
      expect((chunk as Buffer).length).toBeGreaterThan(0)
      if (sent.length > 3) break
    }
    expect(sent.length).toBeLessThan(60)
  })

  it.each<[string, () => void, RegExp]>([
    ['has become shorter', () => writeFileSync(join(root, 'file'), 'x'), /^file changed while it was read$/],
    ['is gone', () => rmSync(join(root, 'file')), /^file cannot be read: ENOENT/],
  ])('is none when a file %s', async (_what, change, why) => {
    writeFileSync(join(root, 'file'), 'content')
    const folder = await listFolder(root)
    change()
    const refused = await failure(folderTar(folder, () => undefined).toArray())
    expect(refused).toBeInstanceOf(FolderUnusable)
    expect((refused as FolderUnusable).title).toMatch(why)
  })
})
