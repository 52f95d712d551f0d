import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Digest } from '@croft/kit'
import { digestOf, generatedLayerTar, hexOf, mediaTypes, OciError, parseManifest, type Descriptor } from '@croft/oci'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { importLayout, namesOfLayers, type LayoutImport } from './layout-import.js'

let folder: string
let blobs: string
const put = new Map<string, Buffer>()
const manifests = new Map<string, Buffer>()
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layout-'))
  blobs = join(folder, 'image/blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  put.clear()
  manifests.clear()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const bytesOf = async (open: () => unknown): Promise<Buffer> => {
  const content = open()
  if (Buffer.isBuffer(content)) return content
  const chunks: Buffer[] = []
  for await (const chunk of content as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}
const ports = {
  registry: {
    hasBlob: (_name: string, digest: Digest) => Promise.resolve(put.has(digest)),
    putBlob: async (_name: string, { digest }: Pick<Descriptor, 'digest' | 'size'>, open: () => unknown) => {
      put.set(digest, await bytesOf(open))
    },
    putManifest: (_name: string, digest: string, bytes: Buffer) => {
      manifests.set(digest, bytes)
      return Promise.resolve()
    },
  },
  images: { remember: (manifest: Buffer) => Promise.resolve(digestOf(manifest)) },
}

function blob(bytes: Buffer | string, mediaType = 'x'): Descriptor {
  const content = Buffer.from(bytes)
  writeFileSync(join(blobs, hexOf(digestOf(content))), content)
  return { mediaType, digest: digestOf(content), size: content.length }
}
const tarOf = (content: string): Promise<Buffer> => generatedLayerTar([{ kind: 'file', path: '/f', content }])

/** Writes the layout of an image with these layers. */
function layout(layers: Descriptor[], diffIds: Digest[], history: object[] = []): void {
  const config = blob(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: diffIds },
      history,
    }),
    mediaTypes.config,
  )
  const manifest = blob(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers }))
  writeFileSync(join(folder, 'image/index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }))
}
const read = (more: Partial<LayoutImport> = {}) =>
  importLayout(
    {
      appId: 'app',
      root: folder,
      parts: ['image'],
      known: new Map(),
      names: new Map(),
      previous: null,
      spoolPath: (index) => join(folder, `spool-${index}`),
      signal: new AbortController().signal,
      ...more,
    },
    ports,
  )

describe('the image that buildah left', () => {
  it('becomes layers as this platform keeps them, whatever they were compressed with', async () => {
    const [one, two] = [await tarOf('one'), await tarOf('two')]
    layout(
      [blob(gzipSync(one), mediaTypes.layerGzip), blob(two, mediaTypes.layerTar)],
      [digestOf(one), digestOf(two)],
      [
        { created_by: '/bin/sh -c make' },
        { created_by: '/bin/sh -c #(nop) CMD ["x"]', empty_layer: true },
        { created_by: '/bin/sh -c #(nop) COPY file:1 in /' },
      ],
    )
    const imported = await read()
    const manifest = parseManifest(manifests.get(imported.image) ?? Buffer.alloc(0))
    expect(manifest.layers.map(({ mediaType }) => mediaType)).toEqual([mediaTypes.layerZstd, mediaTypes.layerZstd])
    expect(manifest.layers.every(({ digest, size }) => put.get(digest)?.length === size)).toBe(true)
    expect(imported.layers.map(({ name }) => name)).toEqual(['RUN make', 'COPY file:1 in /'])
    expect(imported).toMatchObject({ newLayers: 2 })
    expect([...imported.descriptors.keys()]).toEqual([digestOf(one), digestOf(two)])
  })

  it('has the same layer as often as it says, read once', async () => {
    const tar = await tarOf('same')
    const layer = blob(tar, mediaTypes.layerTar)
    layout([layer, layer, layer], [digestOf(tar), digestOf(tar), digestOf(tar)])
    const spooled: number[] = []
    const spoolPath = (index: number): string => join(folder, `spool-${spooled.push(index)}`)
    const imported = await read({ spoolPath })
    expect(parseManifest(manifests.get(imported.image) ?? Buffer.alloc(0)).layers).toHaveLength(3)
    expect(spooled).toEqual([0])
  })

  it('is not read where its layers are known: they keep their names in the registry', async () => {
    const [base, own] = [await tarOf('base'), await tarOf('own')]
    const known = { mediaType: mediaTypes.layerZstd, digest: digestOf('kept'), size: 4 }
    layout(
      [{ mediaType: mediaTypes.layerTar, digest: digestOf(base), size: 0 }, blob(gzipSync(own), mediaTypes.layerGzip)],
      [digestOf(base), digestOf(own)],
    )
    const imported = await read({
      known: new Map([[digestOf(base), known]]),
      names: new Map([[digestOf(base), 'stack debian-12']]),
    })
    expect(imported.layers[0]).toEqual({ name: 'stack debian-12', digest: known.digest, bytes: 4, isNew: false })
    expect(imported.newLayers).toBe(1)
    expect(put.size).toBe(2) // its own layer and its configuration
  })

  it.each<[string, () => Promise<void>, RegExp]>([
    [
      'a layer that is another one than it says',
      async () => layout([blob(await tarOf('x'), mediaTypes.layerTar)], [digestOf(await tarOf('y'))]),
      /another layer than it has/,
    ],
    [
      'a layer that is not there',
      async () => {
        const tar = await tarOf('x')
        layout([{ mediaType: mediaTypes.layerTar, digest: digestOf(tar), size: tar.length }], [digestOf(tar)])
      },
      /left no layer/,
    ],
    [
      'a layer that is a link to somewhere else',
      async () => {
        const tar = await tarOf('x')
        writeFileSync(join(folder, 'outside'), tar)
        symlinkSync(join(folder, 'outside'), join(blobs, hexOf(digestOf(tar))))
        layout([{ mediaType: mediaTypes.layerTar, digest: digestOf(tar), size: tar.length }], [digestOf(tar)])
      },
      /left no layer/,
    ],
    [
      'a layer of a kind that nobody reads',
      async () => layout([blob(await tarOf('x'), 'application/x-rar')], [digestOf(await tarOf('x'))]),
      /cannot read layers of type/,
    ],
    [
      'a layer that is cut off',
      async () => {
        const tar = await tarOf('x')
        layout([blob(gzipSync(tar).subarray(0, 40), mediaTypes.layerGzip)], [digestOf(tar)])
      },
      /unexpected end of file/,
    ],
    [
      'a manifest that was changed',
      async () => {
        layout([], [])
        const index = { manifests: [{ digest: digestOf('manifest') }] }
        writeFileSync(join(folder, 'image/index.json'), JSON.stringify(index))
        writeFileSync(join(blobs, hexOf(digestOf('manifest'))), '{}')
        await Promise.resolve()
      },
      /does not match its digest/,
    ],
    ['nothing', () => Promise.resolve(), /left no index\.json/],
    [
      'an index that is none',
      () => Promise.resolve(writeFileSync(join(folder, 'image/index.json'), '{')),
      /left no image/,
    ],
    [
      'an index that is too large',
      () => Promise.resolve(writeFileSync(join(folder, 'image/index.json'), ' '.repeat(4 * 1024 * 1024 + 1))),
      /index\.json is larger than/,
    ],
  ])('with %s is refused', async (_what, make, why) => {
    await make()
    const refused = await read().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(OciError)
    expect((refused as OciError).message).toMatch(why)
    expect(manifests.size).toBe(0)
  })
})

it.each<[string, string]>([
  ['/bin/sh -c make   all', 'RUN make all'],
  ['|1 A=b /bin/sh -c make', 'RUN make'],
  ['/bin/sh -c #(nop) COPY file:abc in /srv', 'COPY file:abc in /srv'],
  ['/bin/sh -c #(nop) WORKDIR /srv', 'WORKDIR /srv'],
  [`/bin/sh -c ${'x'.repeat(100)}`, `RUN ${'x'.repeat(53)}...`],
])('a layer made by %s is called so', (created_by, name) => expect(namesOfLayers([{ created_by }])).toEqual([name]))
