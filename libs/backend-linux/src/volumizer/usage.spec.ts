import { link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { directoryUsage, smallUsage } from './usage.js'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp('/tmp/usage-spec-')
})
afterEach(async () => await rm(dir, { recursive: true, force: true }))

describe('what a directory takes', () => {
  it('is all files and folders below it, the same for a small tree at once', async () => {
    await mkdir(join(dir, 'a/b'), { recursive: true })
    await writeFile(join(dir, 'a/b/file'), 'x'.repeat(100_000))
    await symlink('/', join(dir, 'a/host'))
    const usage = await directoryUsage(dir)
    expect(usage.inodes).toBe(4)
    expect(usage.bytes).toBeGreaterThanOrEqual(100_000)
    expect(usage.bytes).toBeLessThan(200_000)
    expect(smallUsage(dir)).toEqual(usage)
  })
  it('counts a file of two names once', async () => {
    await writeFile(join(dir, 'one'), 'x'.repeat(50_000))
    await link(join(dir, 'one'), join(dir, 'two'))
    const usage = await directoryUsage(dir)
    expect([usage.inodes, usage.bytes < 100_000]).toEqual([1, true])
    expect(smallUsage(dir)).toBeNull()
  })
  it('follows no link, not even the folder itself', async () => {
    await symlink('/usr', join(dir, 'link'))
    expect(await directoryUsage(join(dir, 'link'))).toEqual({ bytes: 0, inodes: 0 })
    expect(smallUsage(join(dir, 'link'))).toBeNull()
    expect(await directoryUsage(join(dir, 'nosuch'))).toEqual({ bytes: 0, inodes: 0 })
  })
  it('ends at the number of entries it is given', async () => {
    await Promise.all(Array.from({ length: 200 }, async (_, index) => await writeFile(join(dir, `${index}`), '')))
    expect((await directoryUsage(dir, 50)).inodes).toBeLessThan(100)
    expect(smallUsage(dir)).toBeNull()
  })
  it('does not fail for a tree deeper than a path may name', async () => {
    let path = dir
    for (let level = 0; level < 100; level++) {
      path = join(path, 'x'.repeat(30))
      await mkdir(path)
    }
    expect((await directoryUsage(dir)).inodes).toBeGreaterThan(60)
    expect(smallUsage(dir)).toBeNull()
  })
})
