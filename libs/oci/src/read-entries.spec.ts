import { Readable } from 'node:stream'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { generatedLayerTar } from './generated-layer.js'
import { mediaTypes } from './media-types.js'
import { readEntries } from './read-entries.js'

const LIMITS = { bytes: 100, files: 2 }
const tar = await generatedLayerTar([
  { kind: 'file', path: '/layers/sbom/a.json', content: '{"a":1}' },
  { kind: 'file', path: '/layers/sbom/b.json', content: '{"b":1}' },
  { kind: 'file', path: '/layers/large', content: 'x'.repeat(1_000) },
])
const read = (isWanted: (path: string) => boolean, limits = LIMITS) =>
  readEntries(Readable.from([zstdCompressSync(tar)]), mediaTypes.layerZstd, isWanted, limits)

describe('reading files of a layer', () => {
  it('gives those that are wanted, of any compression', async () => {
    const found = await read((path) => path.endsWith('.json'))
    expect([...found].map(([path, bytes]) => `${path} ${bytes.toString()}`)).toEqual([
      'layers/sbom/a.json {"a":1}',
      'layers/sbom/b.json {"b":1}',
    ])
    const gzip = await readEntries(
      Readable.from([gzipSync(tar)]),
      mediaTypes.layerGzip,
      (path) => path.endsWith('a.json'),
      LIMITS,
    )
    expect([...gzip.keys()]).toEqual(['layers/sbom/a.json'])
  })

  it('ends beyond its limits', async () => {
    await expect(read((path) => path === 'layers/large')).rejects.toThrow('more in this layer')
    await expect(read(() => true, { bytes: 10_000, files: 2 })).rejects.toThrow('more in this layer')
  })

  it('fails of a blob that is torn or no layer', async () => {
    const torn = zstdCompressSync(tar).subarray(0, 60)
    await expect(readEntries(Readable.from([torn]), mediaTypes.layerZstd, () => true, LIMITS)).rejects.toThrow()
    await expect(readEntries(Readable.from(['x']), 'text/plain', () => true, LIMITS)).rejects.toThrow()
  })
})
