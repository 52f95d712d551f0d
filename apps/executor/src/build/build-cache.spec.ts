import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger, waitFor } from '@croft/kit'
import type { BuildCache } from '@croft/lifecycle'
import { AppCache, sweepAppCaches } from './build-cache.js'

const APP = '01890000-0000-7000-8000-000000000001'
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'build-cache-'))
  mkdirSync(join(folder, 'drafts'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

const open = (bootId = 'this boot'): AppCache =>
  new AppCache({
    caches: join(folder, 'caches'),
    appId: APP,
    drafts: join(folder, 'drafts'),
    bootId,
    logger: silentLogger,
  })
const cacheOf = (tree: string): BuildCache => ({
  'a/b': { kept: { types: { build: false, cache: true, launch: false }, metadata: { key: 1 }, tree } },
})

describe('what is kept of an app between builds', () => {
  it('is nothing at first, and nothing for an id that is a path', async () => {
    expect(await open().read()).toEqual({})
    expect(
      () => new AppCache({ caches: '/x', appId: '../../etc', drafts: '', bootId: '', logger: silentLogger }),
    ).toThrow(RangeError)
  })

  it('is what the last build wrote, its trees moved out of the build', async () => {
    const { tree, path } = await open().draft()
    writeFileSync(join(path, 'file'), 'kept')
    await open().write(cacheOf(tree))
    expect(await open().read()).toEqual(cacheOf(tree))
    expect(readFileSync(join(open().treePath(tree), 'file'), 'utf8')).toBe('kept')
    expect(existsSync(path)).toBe(false)
  })

  it('keeps a tree that the next build names again, and can be emptied', async () => {
    const { tree } = await open().draft()
    await open().write(cacheOf(tree))
    await open().write(cacheOf(tree))
    expect(existsSync(open().treePath(tree))).toBe(true)
    await open().write({})
    expect(await open().read()).toEqual({})
  })

  it('has no tree that no record names, once the executor that died in the midst of a build was started again', async () => {
    const { tree } = await open().draft()
    await open().write(cacheOf(tree))
    const orphan = '01890000-0000-4000-8000-000000000009'
    const other = '01890000-0000-7000-8000-000000000002'
    for (const path of [join(APP, orphan), join(APP, 'dockerfile'), join(other, orphan)])
      mkdirSync(join(folder, 'caches', path, 'layers'), { recursive: true })
    await sweepAppCaches(join(folder, 'caches'), silentLogger)
    await waitFor(
      () => ![join(APP, orphan), join(other, orphan)].some((path) => existsSync(join(folder, 'caches', path))),
      { what: 'the trees to be gone', timeoutMs: 5_000 },
    )
    expect(await open().read()).toEqual(cacheOf(tree))
    for (const path of [tree, 'dockerfile']) expect(existsSync(join(folder, 'caches', APP, path))).toBe(true)
    await sweepAppCaches(join(folder, 'none'), silentLogger)
  })

  it('does not count after a power cut, and never when it cannot be read', async () => {
    const { tree } = await open().draft()
    await open().write(cacheOf(tree))
    expect(await open('another boot').read()).toEqual({})
    writeFileSync(join(folder, 'caches', APP, 'cache.json'), '{"bootId":')
    expect(await open().read()).toEqual({})
  })
})
