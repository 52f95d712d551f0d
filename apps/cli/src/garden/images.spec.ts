import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
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

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')
const layered = (layer: string, more: Record<string, string> = {}, base = ''): string =>
  `preloaded+layer:${base}?${new URLSearchParams({ layer, layer_path: '/home/app', ...more })}`

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

  it('is a base with one more layer above it, in its own directory, whose bytes are those that were named', async () => {
    const dir = join(folder, 'base')
    mkdirSync(join(dir, 'home'), { recursive: true, mode: 0o711 })
    const layer = makeTar('app.tgz', 'the app')
    const all = await images({ defaultRootfs: dir, aliases: { 'https://blobs/app.tgz': layer } })
    const { lowerPaths } = await all.resolve(layered(layer, { layer_digest: sha256(layer) }, dir))
    expect(lowerPaths.slice(1)).toEqual([dir])
    expect(readFileSync(join(lowerPaths[0] ?? '', 'home/app/file'), 'utf8')).toBe('the app')
    expect(statSync(join(lowerPaths[0] ?? '', 'home')).mode & 0o777).toBe(0o711) // as that of the base, which it hides
    const byName = layered('https://blobs/app.tgz', { layer_digest: `sha256:${sha256(layer)}` })
    expect((await all.resolve(byName)).lowerPaths).toEqual(lowerPaths)
    const defaultRootfs = layered(layer, { layer_digest: sha256(layer) }, dir)
    expect((await (await images({ defaultRootfs })).resolve('')).lowerPaths).toEqual(lowerPaths)
  })

  it.each<[string, (layer: string, digest: string) => string, string]>([
    ['that is not there', (_layer, digest) => layered('/nosuch/app.tgz', { layer_digest: digest }), 'there is no such'],
    ['that is a directory', (_layer, digest) => layered('/tmp', { layer_digest: digest }), 'is no tar'],
    [
      'that is elsewhere',
      (_layer, digest) => layered('https://x/app.tgz', { layer_digest: digest }),
      'not on this host',
    ],
    ['with other bytes', (layer) => layered(layer, { layer_digest: 'ab'.repeat(32) }), `not sha256:${'ab'.repeat(32)}`],
    ['of no digest', (layer) => layered(layer), 'layer_digest is missing'],
    [
      'above another',
      (layer, digest) => layered(layer, { layer_digest: digest }, 'preloaded+layer:/x'),
      'cannot be the base',
    ],
  ])('has no layer %s, which is said', async (_what, uri, message) => {
    const layer = makeTar('app.tgz', 'the app')
    const error: unknown = await (
      await images()
    )
      .resolve(uri(layer, sha256(layer)))
      .catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(ImageError)
    expect((error as ImageError).message).toContain(message)
    expect(readdirSync(join(folder, 'trees'))).toEqual([])
  })

  it('has no layer where a link of its base is, nor one that is no tar, and neither leaves anything', async () => {
    const dir = join(folder, 'base')
    mkdirSync(dir)
    symlinkSync('/elsewhere', join(dir, 'home'))
    const layer = makeTar('app.tgz', 'the app')
    const all = await images()
    const digest = { layer_digest: sha256(layer) }
    await expect(all.resolve(layered(layer, digest, dir))).rejects.toThrow('/home is no directory of the image')
    writeFileSync(layer, 'no tar')
    const broken = { layer_digest: sha256(layer) }
    await expect(all.resolve(layered(layer, broken))).rejects.toThrow('is no tar that can be unpacked')
    expect(readdirSync(join(folder, 'trees'))).toEqual([])
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
