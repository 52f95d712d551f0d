import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bareEnv, run } from '@croft/kit'
import { namesInImage, readInImage } from './image-files.js'

let folder: string
let trees: string[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'image-files-'))
  trees = ['upper', 'lower'].map((name) => join(folder, name))
  for (const tree of trees) mkdirSync(join(tree, 'cnb'), { recursive: true })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const write = (path: string, text: string): void => writeFileSync(join(folder, path), text)
const read = (...parts: string[]) => readInImage(trees, parts, 100)
const whiteOut = (path: string) =>
  run('mknod', [join(folder, path), 'c', '0', '0'], { timeoutMs: 5_000, env: bareEnv() })

describe.skipIf(process.getuid?.() !== 0)('the files of an image', () => {
  it('are those of its uppermost layer that has them', async () => {
    write('lower/cnb/order.toml', 'old')
    write('lower/cnb/run.toml', 'run')
    write('upper/cnb/order.toml', 'new')
    expect([await read('cnb', 'order.toml'), await read('cnb', 'run.toml'), await read('cnb', 'none')]).toEqual([
      'new',
      'run',
      undefined,
    ])
    expect((await namesInImage(trees, ['cnb'])).toSorted()).toEqual(['order.toml', 'run.toml'])
  })

  it('are gone where an upper layer took them away, or a folder on the way to them', async () => {
    write('lower/cnb/run.toml', 'run')
    await whiteOut('upper/cnb/run.toml')
    expect([await read('cnb', 'run.toml'), await namesInImage(trees, ['cnb'])]).toEqual([undefined, []])
    mkdirSync(join(folder, 'lower/usr/lib'), { recursive: true })
    write('lower/usr/lib/libz.so.1', '')
    await whiteOut('upper/usr')
    expect([await read('usr', 'lib', 'libz.so.1'), await namesInImage(trees, ['usr', 'lib'])]).toEqual([undefined, []])
  })

  it('are never looked for behind a link, nor read when they are too large', async () => {
    write('secret', 'mine')
    write('lower/cnb/order.toml', 'hidden by the link')
    symlinkSync(join(folder, 'secret'), join(folder, 'upper/cnb/order.toml'))
    expect(await read('cnb', 'order.toml')).toBeUndefined()
    write('upper/cnb/run.toml', 'x'.repeat(101))
    await expect(read('cnb', 'run.toml')).rejects.toThrow('/cnb/run.toml of the image is larger than 100 bytes')
  })
})
