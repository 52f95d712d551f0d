import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, waitFor } from '@croft/kit'
import { digestOf } from '@croft/oci'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LayerCache, sweepLayerCaches } from './layer-cache.js'

const appId = '01890000-0000-7000-8000-000000000001'
const descriptor = { mediaType: 'x', digest: digestOf('blob'), size: 4 }
let caches: string
beforeEach(() => {
  caches = mkdtempSync(join(tmpdir(), 'layer-cache-'))
})
afterEach(() => rmSync(caches, { recursive: true, force: true }))

const open = (
  more: { bootId?: string; isClean?: boolean; maxBytes?: number; builtOn?: string[] } = {},
): Promise<LayerCache> =>
  LayerCache.open(
    { caches, appId, bootId: more.bootId ?? 'boot', logger: silentLogger },
    { isClean: more.isClean ?? false, maxBytes: more.maxBytes ?? 10_000_000, builtOn: more.builtOn ?? ['stack'] },
  )

describe('what is kept of the Dockerfile builds of an app', () => {
  beforeEach(async () => {
    const cache = await open()
    writeFileSync(join(cache.storage, 'layer'), 'x'.repeat(100_000))
    await cache.settle([[digestOf('tar'), descriptor]])
  })

  it('is there for the next build, with what its layers are called', async () => {
    const cache = await open({ builtOn: ['other', 'stack'] })
    expect(existsSync(join(cache.storage, 'layer'))).toBe(true)
    expect([...cache.known]).toEqual([[digestOf('tar'), descriptor]])
  })

  it('leaves nothing behind that was on its way out when the executor died, and stays itself', async () => {
    for (const name of ['dockerfile.gone-1', 'dockerfile.gone-2'])
      mkdirSync(join(caches, appId, name, 'storage/overlay'), { recursive: true })
    await sweepLayerCaches(caches, silentLogger)
    await waitFor(() => readdirSync(join(caches, appId)).join() === 'dockerfile', {
      what: 'what was on its way out to be gone',
      timeoutMs: 5_000,
    })
    expect([...(await open()).known]).toEqual([[digestOf('tar'), descriptor]])
    await sweepLayerCaches(join(caches, 'none'), silentLogger)
  })

  it('remembers the layers that were used last, and only so many', async () => {
    const id = (number: number) => digestOf(`tar ${number}`)
    const cache = await open()
    await cache.settle(Array.from({ length: 600 }, (_, number) => [id(number), descriptor]))
    await cache.settle([[digestOf('tar'), descriptor]])
    const { known } = await open()
    expect(known.size).toBe(500)
    expect([digestOf('tar'), id(599), id(101)].every((diffId) => known.has(diffId))).toBe(true)
    expect(known.has(id(100))).toBe(false)
  })

  it.each<[string, Parameters<typeof open>[0]]>([
    ['a clean build', { isClean: true }],
    ['another boot', { bootId: 'later' }],
    ['more than it may be', { maxBytes: 50_000 }],
    ['another image below it', { builtOn: ['other'] }],
  ])('goes with %s', async (_what, how) => {
    const cache = await open(how)
    expect(existsSync(join(cache.storage, 'layer'))).toBe(false)
    expect([...cache.known]).toEqual([])
  })

  it('belongs to its app', async () => {
    await expect(
      LayerCache.open(
        { caches, appId: '../x', bootId: 'boot', logger: silentLogger },
        { isClean: false, maxBytes: 1, builtOn: [] },
      ),
    ).rejects.toThrow('not an app id')
  })
})
