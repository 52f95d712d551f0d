import { randomBytes } from 'node:crypto'
import { readdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger, type Digest } from '@croft/kit'
import { digestOf, mediaTypes, type LayerBlob } from '@croft/oci'
import { SharedLayers } from './shared-layers.js'

const LARGE = 40 * 1024 ** 2
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shared-layers-'))
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

const home = (homeId: string, compression = 'zstd 1'): SharedLayers =>
  new SharedLayers({ folder: join(folder, 'layers'), homeId, logger: silentLogger, compression })

function layer(content: string, tarBytes = LARGE): LayerBlob {
  const bytes = Buffer.from(content)
  const diffId: Digest = digestOf(`tar of ${content}`)
  const descriptor = { mediaType: mediaTypes.layerZstd, digest: digestOf(bytes), size: bytes.length }
  return { diffId, tarBytes, descriptor, open: () => Readable.from([bytes]) }
}
const foundBy = async (homeId: string, guess = 'node'): Promise<Digest | undefined> =>
  (await home(homeId).find(guess))?.diffId

async function bytesOf(shared: SharedLayers, { descriptor }: LayerBlob): Promise<string | null> {
  const source = await shared.open(descriptor)
  if (source === null) return null
  const chunks = await source.open().toArray()
  return Buffer.concat(chunks as Buffer[]).toString()
}

const names = (): string[] => readdirSync(join(folder, 'layers')).toSorted()
const hexOf = ({ descriptor }: LayerBlob): string => descriptor.digest.slice(7)

describe('a layer that homes of a host share', () => {
  it('is there for all of them once two have made it', async () => {
    const node = layer('node')
    await home('a').keep('node', node)
    expect(await foundBy('b')).toBeUndefined()
    await home('b').keep('node', node)
    expect(await home('c').find('node')).toEqual({ diffId: node.diffId, descriptor: node.descriptor })
    expect(await bytesOf(home('c'), node)).toBe('node')
    expect(await foundBy('c', 'python')).toBeUndefined()
  })

  it('is no layer that one home alone has made, however often: none of its bytes are kept', async () => {
    for (let times = 0; times < 3; times += 1) await home('a').keep('node', layer('with a secret'))
    expect(await foundBy('a')).toBeUndefined()
    expect(names()).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.seen$/)])
  })

  it('stays the one that two made, whatever one of them makes of the same then, until two make that', async () => {
    for (const homeId of ['a', 'b']) await home(homeId).keep('node', layer('node'))
    await home('a').keep('node', layer('changed'))
    expect(await foundBy('c')).toBe(layer('node').diffId)
    await home('c').keep('node', layer('changed'))
    expect(await foundBy('a')).toBe(layer('changed').diffId)
  })

  it('is not given when its bytes are not what its digest says, and can be kept anew', async () => {
    const node = layer('node')
    const spoil: ((path: string) => void)[] = [
      (path) => truncateSync(path, 2),
      (path) => writeFileSync(path, 'edon'),
      (path) => writeFileSync(path, 'node and more'),
    ]
    for (const damage of spoil) {
      await home('a').keep('node', node)
      await home('b').keep('node', node)
      damage(join(folder, 'layers', hexOf(node)))
      expect(await bytesOf(home('c'), node)).toBeNull()
      expect(names()).not.toContain(hexOf(node))
      expect(await foundBy('c')).toBeUndefined()
    }
    await home('a').keep('node', node)
    await home('b').keep('node', node)
    expect(await bytesOf(home('c'), node)).toBe('node')
  })

  it.each(['', '{', '{"diffId":"x"}', JSON.stringify({ diffId: `sha256:${'0'.repeat(64)}` })])(
    'is none where the note of it is %j',
    async (text) => {
      for (const homeId of ['a', 'b']) await home(homeId).keep('node', layer('node'))
      const note = names().find((name) => name.endsWith('.json')) ?? ''
      writeFileSync(join(folder, 'layers', note), text)
      expect(await foundBy('c')).toBeUndefined()
    },
  )

  it('is none of another compression: the same tar would be another blob', async () => {
    for (const homeId of ['a', 'b']) await home(homeId).keep('node', layer('node'))
    expect(await home('c', 'zstd 2').find('node')).toBeNull()
  })

  it('is not a small one', async () => {
    for (const homeId of ['a', 'b']) await home(homeId).keep('node', layer('small', 1024 ** 2))
    expect(await foundBy('c')).toBeUndefined()
  })

  it('goes when eight others were used since, and drafts that nobody finished go with time', async () => {
    const all = Array.from({ length: 9 }, (_, at) => layer(`node ${at}`))
    const draft = join(folder, 'layers/.left')
    for (const [at, one] of all.entries()) {
      await home('a').keep(`node ${at}`, one)
      if (at === 8) writeFileSync(draft, randomBytes(8))
      if (at === 8) utimesSync(draft, 1_000, 1_000)
      await home('b').keep(`node ${at}`, one)
      if (at < 8) utimesSync(join(folder, 'layers', hexOf(one)), 2_000 + at, 2_000 + at)
      if (at === 7) expect(await bytesOf(home('c'), all[0] as LayerBlob)).toBe('node 0')
    }
    const blobs = names().filter((name) => !name.includes('.'))
    expect(blobs).toEqual(
      all
        .filter((_, at) => at !== 1)
        .map(hexOf)
        .toSorted(),
    )
    expect(names()).not.toContain('.left')
  })

  it('costs nobody a build when it cannot be kept', async () => {
    writeFileSync(join(folder, 'layers'), 'no folder')
    await home('a').keep('node', layer('node'))
    expect(await foundBy('a')).toBeUndefined()
  })
})
