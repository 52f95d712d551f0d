import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ImageError } from '@croft/garden-api'
import { LocalImages } from './images.js'
import { TreeStore } from './tree-store.js'

let folder: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'local-images-')))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const images = async (more: { defaultRootfs?: string; aliases?: Record<string, string> } = {}): Promise<LocalImages> =>
  new LocalImages({
    trees: await TreeStore.open(join(folder, 'trees')),
    defaultRootfs: more.defaultRootfs ?? null,
    aliases: new Map(Object.entries(more.aliases ?? {})),
  })

function makeTar(name: string, content: string): string {
  const source = mkdtempSync(join(folder, 'source-'))
  writeFileSync(join(source, 'file'), content)
  execFileSync('tar', ['-C', source, '-czf', join(folder, name), '.'])
  return join(folder, name)
}

describe('an image on this host', () => {
  it('is a directory as it is, by its path or as raw', async () => {
    const dir = join(folder, 'root')
    mkdirSync(dir)
    const all = await images()
    expect(await all.resolve(dir)).toEqual({ lowerPaths: [dir], env: [] })
    expect(await all.resolve(`raw://${dir}`)).toEqual({ lowerPaths: [dir], env: [] })
  })

  it('is several directories and tars, the uppermost first', async () => {
    const dir = join(folder, 'upper')
    mkdirSync(dir)
    const tar = makeTar('lower.tar', 'content')
    const all = await images()
    const { lowerPaths } = await all.resolve(`layers://${dir}:${tar}`)
    expect(lowerPaths).toEqual([dir, (await all.resolve(tar)).lowerPaths[0]])
    await expect(all.resolve(`layers://${dir}:relative`)).rejects.toThrow(ImageError)
  })

  it('is a tar, unpacked once whoever asks, and again when it was changed', async () => {
    const tar = makeTar('image.tar.gz', 'first')
    const all = await images()
    const found = await Promise.all([1, 2, 3].map(async () => await all.resolve(tar)))
    const tree = found[0]?.lowerPaths[0] ?? ''
    expect(new Set(found.map(({ lowerPaths }) => lowerPaths[0])).size).toBe(1)
    expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('first')
    const { ino } = statSync(tree)
    expect((await (await images()).resolve(tar)).lowerPaths).toEqual([tree])
    expect(statSync(tree).ino).toBe(ino)
    makeTar('image.tar.gz', 'second, longer')
    const changed = (await all.resolve(tar)).lowerPaths[0] ?? ''
    expect(readFileSync(join(changed, 'file'), 'utf8')).toBe('second, longer')
    expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('first')
  })

  it('is the default when none is named, or an empty root when there is no default', async () => {
    const dir = join(folder, 'root')
    mkdirSync(dir)
    expect((await (await images({ defaultRootfs: dir })).resolve('')).lowerPaths).toEqual([dir])
    expect(await (await images()).resolve('')).toEqual({ lowerPaths: [], env: [] })
  })

  it('of a registry is what an alias says', async () => {
    const dir = join(folder, 'root')
    mkdirSync(dir)
    const all = await images({ aliases: { 'docker:///busybox#1.36': dir }, defaultRootfs: 'docker:///busybox#1.36' })
    expect((await all.resolve('docker:///busybox#1.36')).lowerPaths).toEqual([dir])
    expect((await all.resolve('')).lowerPaths).toEqual([dir])
    await expect(all.resolve('docker:///other')).rejects.toMatchObject({
      title: 'image docker:///other is not on this host',
      suggestion: expect.stringContaining('--image-alias docker:///other='),
    })
  })

  it.each([
    ['a path where nothing is', () => join(folder, 'nothing'), 'there is no such directory or tar'],
    ['something that is no tar', () => (writeFileSync(join(folder, 'x'), 'no tar'), join(folder, 'x')), 'is no tar'],
    ['a relative path', () => 'image.tar', 'is not on this host'],
    ['a layout where none is', () => `oci://${folder}`, 'index.json cannot be read'],
    ['an unknown scheme', () => 'ftp:///image', 'is not on this host'],
  ])('is not %s, which is said with a remedy', async (_what, prepare, message) => {
    const error: unknown = await (await images()).resolve(prepare()).catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(ImageError)
    expect((error as ImageError).message).toContain(message)
    expect(readdirSync(join(folder, 'trees'))).toEqual([])
  })

  it('that a killed program left half-unpacked is swept away', async () => {
    mkdirSync(join(folder, 'trees/.new-abc/tree'), { recursive: true })
    await images()
    expect(readdirSync(join(folder, 'trees'))).toEqual([])
  })
})
