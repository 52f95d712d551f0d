import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bareEnv, run } from '@croft/kit'
import { LAYER_MTIME_SECONDS } from '@croft/oci'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { normaliseTree } from './normalise-tree.js'

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8)

describe('the normalising of a tree', () => {
  let folder: string
  let tree: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'normalise-tree-'))
    tree = join(folder, 'tree')
    mkdirSync(tree)
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it.each([
    ['600', '644'],
    ['640', '644'],
    ['644', '644'],
    ['666', '644'],
    ['0', '644'],
    ['700', '755'],
    ['755', '755'],
    ['4755', '755'],
    ['2644', '644'],
    ['1601', '755'],
  ])('gives a file of mode %s mode %s', async (before, after) => {
    writeFileSync(join(tree, 'file'), '')
    chmodSync(join(tree, 'file'), Number.parseInt(before, 8))
    await normaliseTree(tree, owner)
    expect(modeOf(join(tree, 'file'))).toBe(after)
  })

  it('gives every folder mode 755 and everything, itself too, the one time', async () => {
    mkdirSync(join(tree, 'a/b'), { recursive: true, mode: 0o700 })
    writeFileSync(join(tree, 'a/b/file'), 'text')
    chmodSync(join(tree, 'a'), 0o1777)
    symlinkSync('nowhere', join(tree, 'a/link'))
    await normaliseTree(tree, owner)
    const paths = ['.', 'a', 'a/b', 'a/b/file', 'a/link'].map((path) => join(tree, path))
    expect(paths.map((path) => lstatSync(path).mtimeMs / 1000)).toEqual(paths.map(() => LAYER_MTIME_SECONDS))
    expect([tree, join(tree, 'a'), join(tree, 'a/b')].map(modeOf)).toEqual(['755', '755', '755'])
  })

  it('follows no link, to a file or to a folder', async () => {
    const outside = join(folder, 'outside')
    mkdirSync(outside, { mode: 0o700 })
    writeFileSync(join(outside, 'secret'), '', { mode: 0o600 })
    symlinkSync(outside, join(tree, 'folder'))
    symlinkSync(join(outside, 'secret'), join(tree, 'file'))
    await normaliseTree(tree, owner)
    expect([modeOf(outside), modeOf(join(outside, 'secret'))]).toEqual(['700', '600'])
    expect(lstatSync(outside).mtimeMs / 1000).not.toBe(LAYER_MTIME_SECONDS)
    expect(lstatSync(join(outside, 'secret')).mtimeMs / 1000).not.toBe(LAYER_MTIME_SECONDS)
  })

  it('removes what no layer holds', async () => {
    mkdirSync(join(tree, 'run'))
    await run('mkfifo', [join(tree, 'run/pipe')], { env: bareEnv(), timeoutMs: 10_000 })
    const server = createServer().listen(join(tree, 'run/socket'))
    await new Promise((listening) => server.once('listening', listening))
    writeFileSync(join(tree, 'run/file'), '')
    await normaliseTree(tree, owner)
    expect(readdirSync(join(tree, 'run'))).toEqual(['file'])
    await new Promise((closed) => server.close(closed))
  })

  it('takes a name for bytes, whatever they mean', async () => {
    const name = Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x0a, 0xe9])])
    writeFileSync(name, '', { mode: 0o600 })
    await normaliseTree(tree, owner)
    expect((lstatSync(name).mode & 0o777).toString(8)).toBe('644')
  })

  it('lets the process do other things in between', async () => {
    for (let at = 0; at < 1_000; at += 1) writeFileSync(join(tree, `${at}`), '')
    let turns = 0
    const counting = setInterval(() => (turns += 1), 0)
    await normaliseTree(tree, owner)
    clearInterval(counting)
    expect(turns).toBeGreaterThan(0)
  })
})
