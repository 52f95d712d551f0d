import { describe, expect, it } from 'vitest'
import { digestOf } from './digest.js'
import { encodeConfig, encodeManifest, imageOf, parseImageConfig, parseManifest } from './manifest.js'
import { mediaTypes } from './media-types.js'

const layer = { mediaType: mediaTypes.layerZstd, digest: digestOf('layer'), size: 5 }
const config = encodeConfig({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [digestOf('tar')] },
})
const manifest = encodeManifest(config.descriptor, [layer])
const changed = (change: Record<string, unknown>): Buffer =>
  Buffer.from(JSON.stringify({ ...(JSON.parse(manifest.bytes.toString()) as object), ...change }))

describe('image documents', () => {
  it('read back as they were written', () => {
    const image = imageOf(parseManifest(manifest.bytes), parseImageConfig(config.bytes))
    expect(image.manifest.layers).toEqual([layer])
    expect(image.config.rootfs.diff_ids).toEqual([digestOf('tar')])
    expect(manifest.descriptor.digest).toBe(digestOf(manifest.bytes))
  })

  it.each([
    ['layers and manifests in one document', { manifests: [] }],
    ['another media type', { mediaType: 'application/vnd.oci.image.index.v1+json' }],
    ['a digest that is a path', { layers: [{ ...layer, digest: 'sha256:../../../etc/passwd' }] }],
    ['a negative size', { layers: [{ ...layer, size: -1 }] }],
  ])('refuses %s', (_what, change) => {
    expect(() => parseManifest(changed(change))).toThrow('not an image manifest')
  })

  it('refuses a manifest and a configuration with different numbers of layers', () => {
    const two = parseManifest(encodeManifest(config.descriptor, [layer, layer]).bytes)
    expect(() => imageOf(two, parseImageConfig(config.bytes))).toThrow('different numbers of layers')
  })
})
