import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeOverlayMarks } from '@croft/oci'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isOpaque, layerState, mergeTrees } from './layer-trees.js'

let folder: string
let lower: string
let upper: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layer-trees-'))
  lower = join(folder, 'lower')
  upper = join(folder, 'upper')
  for (const path of ['lower/a/deep', 'lower/b/deep', 'lower/c', 'upper'])
    mkdirSync(join(folder, path), { recursive: true })
  for (const path of ['a/old', 'a/deep/old', 'b/old', 'b/deep/old', 'c/old']) writeFileSync(join(lower, path), path)
  symlinkSync('old', join(lower, 'c/link'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const write = (...paths: string[]): void => {
  for (const path of paths) {
    mkdirSync(join(upper, path, '..'), { recursive: true })
    writeFileSync(join(upper, path), path)
  }
}
const filesOf = (root: string): string[] =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
    .toSorted()

// only root marks a folder as the overlay does
describe.runIf(process.getuid?.() === 0)('what a build left of a layer', () => {
  it.each<[string, () => Promise<void> | void, string]>([
    [
      'nothing but folders that were looked into',
      () => void mkdirSync(join(upper, 'a/deep'), { recursive: true }),
      'unchanged',
    ],
    ['a new file deep below', () => write('a/deep/new'), 'modified'],
    ['a folder that hides the former one', () => opaque('b'), 'modified'],
    ['a file that is gone', () => writeOverlayMarks(upper, { opaque: [], whiteouts: ['c'] }), 'modified'],
    ['all of it anew', () => opaque('.'), 'replaced'],
  ])('is told by the upper folder: %s', async (_what, change, state) => {
    await change()
    expect(await layerState(upper, lower)).toBe(state)
    expect(await layerState(upper, null)).toBe('replaced')
  })

  it('is put together of both: what is new, what was kept, and nothing that is hidden or gone', async () => {
    write('a/new', 'b/deep/new', 'b/new')
    await opaque('b/deep')
    await writeOverlayMarks(upper, { opaque: [], whiteouts: ['b/old'] })
    expect(await isOpaque(join(upper, 'b/deep'))).toBe(true)
    expect(await isOpaque(join(upper, 'b'))).toBe(false)
    const to = join(folder, 'to')
    await mergeTrees(upper, lower, to)
    expect(filesOf(to)).toEqual(['a/deep/old', 'a/new', 'a/old', 'b/deep/new', 'b/new', 'c/link', 'c/old'])
    expect(lstatSync(join(to, 'c/link')).isSymbolicLink()).toBe(true)
    expect(lstatSync(join(to, 'a/old')).ino).toBe(lstatSync(join(lower, 'a/old')).ino)
  })

  async function opaque(path: string): Promise<void> {
    mkdirSync(join(upper, path), { recursive: true })
    await writeOverlayMarks(upper, { opaque: [path], whiteouts: [] })
  }
})
