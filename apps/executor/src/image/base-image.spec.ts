import { mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Digest } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BaseImages } from './base-image.js'

const [A, B] = ['a', 'b'].map((letter) => letter.repeat(64)) as [string, string]
let folder: string
let cache: string
let pins: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'base-image-'))
  cache = join(folder, 'cache')
  pins = join(folder, 'node/stacks')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Puts an image there and makes it the one that new homes begin with. */
function make(hex: string): void {
  const image = join(cache, 'debian-12', hex)
  mkdirSync(join(image, 'tree'), { recursive: true })
  const json = {
    diffId: `sha256:${hex}`,
    blobDigest: `sha256:${hex}`,
    blobBytes: 1,
    stack: 'debian-12',
    env: {},
    user: '1002:1002',
    labels: {},
  }
  writeFileSync(join(image, 'image.json'), JSON.stringify(json))
  const current = join(cache, 'debian-12/current')
  rmSync(current, { force: true })
  symlinkSync(hex, current)
}
const open = (): BaseImages => new BaseImages(cache, pins)
const present = async (bases: BaseImages): Promise<string> => (await bases.current('debian-12')).diffId.slice(7)

describe('the base image of a stack', () => {
  it('is for a home what was current when it first needed it, also after a new start', async () => {
    make(A)
    const bases = open()
    expect(await Promise.all([present(bases), present(bases)])).toEqual([A, A])
    make(B) // by another home
    expect(await present(bases)).toBe(A)
    expect(await present(open())).toBe(A)
    expect(await present(new BaseImages(cache, join(folder, 'new/stacks')))).toBe(B)
  })

  it('is another one at once when the pin of the home is moved', async () => {
    make(A)
    const bases = open()
    expect(await present(bases)).toBe(A)
    make(B)
    rmSync(join(pins, 'debian-12'))
    symlinkSync(B, join(pins, 'debian-12'))
    expect(await present(bases)).toBe(B)
    expect((await bases.at('debian-12', `sha256:${A}` as Digest)).diffId).toBe(`sha256:${A}`)
  })

  it('begins anew where the cache was emptied, and is waited for where it is being made', async () => {
    make(A)
    expect(await present(open())).toBe(A)
    rmSync(cache, { recursive: true })
    const bases = open()
    await expect(bases.current('debian-12')).rejects.toThrow('is not there')
    make(B)
    expect(await present(bases)).toBe(B)
    expect(readlinkSync(join(pins, 'debian-12'))).toBe(B)
  })

  it.each(['', '..', '../x', 'Debian', 'a/b'])('is not looked for under %j', async (stack) => {
    await expect(open().current(stack)).rejects.toThrow('there is no stack')
  })

  it('is the tree of its layer, and that of nothing outside the cache, whatever an image says its stack is', async () => {
    make(A)
    const diffId = `sha256:${A}` as Digest
    expect(await open().treeOf('debian-12', diffId)).toBe(join(cache, 'debian-12', A, 'tree'))
    mkdirSync(join(folder, 'elsewhere', A), { recursive: true })
    symlinkSync('/', join(folder, 'elsewhere', A, 'tree'))
    for (const stack of ['../elsewhere', join('..', '..', folder, 'elsewhere'), 'debian-12/../../elsewhere', '', '..'])
      expect(await open().treeOf(stack, diffId), stack).toBeNull()
  })
})
