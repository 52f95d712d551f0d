import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listBeneath, mayBeBeneath, readBeneath } from './beneath.js'

let folder: string
let root: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beneath-'))
  root = join(folder, 'root')
  mkdirSync(join(root, 'a/b'), { recursive: true })
  writeFileSync(join(root, 'a/b/file'), 'inside')
  mkdirSync(join(folder, 'secret'))
  writeFileSync(join(folder, 'secret/file'), 'outside')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('reading what a build wrote', () => {
  it('finds ordinary files and folders', async () => {
    expect(await readBeneath(root, ['a', 'b', 'file'], 100)).toBe('inside')
    expect(await listBeneath(root, ['a'])).toEqual([{ name: 'b', isDirectory: true, isFile: false, isWhiteout: false }])
  })

  it('finds nothing where nothing is', async () => {
    expect(await readBeneath(root, ['a', 'none'], 100)).toBeUndefined()
    expect(await readBeneath(root, ['none', 'file'], 100)).toBeUndefined()
    expect(await listBeneath(root, ['a', 'b', 'file'])).toBeNull()
    expect(await readBeneath(root, ['a', 'b'], 100)).toBeUndefined()
  })

  it('follows no link, neither of a folder nor of a file', async () => {
    symlinkSync(join(folder, 'secret'), join(root, 'folder'))
    symlinkSync(join(folder, 'secret/file'), join(root, 'link'))
    expect(await readBeneath(root, ['folder', 'file'], 100)).toBeUndefined()
    expect(await readBeneath(root, ['link'], 100)).toBeUndefined()
    expect(await listBeneath(root, ['folder'])).toBeNull()
  })

  it.each([
    ['a/b/file', true],
    ['a/b', true],
    ['a/none', false],
    ['none/file', false],
    ['a/b/file/none', true], // a file may be a link
    ['folder/none', true],
    ['dangling', true],
  ])('says of %s whether it may be there: %s', async (path, isPossible) => {
    symlinkSync(join(folder, 'secret'), join(root, 'folder'))
    symlinkSync(join(folder, 'none'), join(root, 'dangling'))
    expect(await mayBeBeneath(root, path)).toBe(isPossible)
  })

  it('refuses a file that is too large', async () => {
    await expect(readBeneath(root, ['a', 'b', 'file'], 5)).rejects.toThrow('larger than 5 bytes')
  })
})
