import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { removeTree } from './remove-tree.js'

let dir: string
beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'remove-tree-'))))
afterEach(async () => await rm(dir, { recursive: true, force: true }))

it('removes a small tree and follows no link out of it', async () => {
  await mkdir(join(dir, 'tree/a/b'), { recursive: true })
  await mkdir(join(dir, 'other'))
  await writeFile(join(dir, 'other/kept'), '')
  await writeFile(join(dir, 'tree/a/b/file'), '')
  await symlink(join(dir, 'other'), join(dir, 'tree/a/link'))
  await removeTree(join(dir, 'tree'))
  expect(await readdir(dir)).toEqual(['other'])
  expect(await readdir(join(dir, 'other'))).toEqual(['kept'])
})

it('removes a large tree, and one deeper than a path can say', async () => {
  await mkdir(join(dir, 'tree/many'), { recursive: true })
  await Promise.all(Array.from({ length: 700 }, async (_, n) => await writeFile(join(dir, 'tree/many', `${n}`), '')))
  const start = process.cwd()
  await mkdir(join(dir, 'tree/deep'))
  process.chdir(join(dir, 'tree/deep'))
  try {
    const name = 'x'.repeat(250)
    for (let depth = 0; depth < 20; depth += 1) {
      await mkdir(name)
      process.chdir(name)
    }
  } finally {
    process.chdir(start)
  }
  await removeTree(join(dir, 'tree'))
  expect(await readdir(dir)).toEqual([])
})

it('is fine with finding nothing', async () => {
  await expect(removeTree(join(dir, 'nothing'))).resolves.toBeUndefined()
})
