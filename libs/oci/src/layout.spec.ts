import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf, hexOf } from './digest.js'
import { ImageLayout } from './layout.js'
import { encodeConfig, encodeManifest, type EncodedDocument } from './manifest.js'
import { mediaTypes } from './media-types.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layout-'))
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (bytes: Buffer | string): string => {
  writeFileSync(join(folder, 'blobs/sha256', hexOf(digestOf(bytes))), bytes)
  return digestOf(bytes)
}
const layer = { mediaType: mediaTypes.layerTar, digest: digestOf('layer'), size: 5 }
/** Puts the blobs of an image whose environment says what it is. */
function putImage(name: string, architecture = 'amd64'): EncodedDocument {
  const config = encodeConfig({
    architecture,
    os: 'linux',
    config: { Env: [`IMAGE=${name}`] },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  })
  const manifest = encodeManifest(config.descriptor, [layer])
  put(config.bytes)
  put(manifest.bytes)
  return manifest
}
const writeIndex = (...manifests: object[]): void =>
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
const read = async (name?: string): Promise<string | undefined> =>
  (await new ImageLayout(folder).image('amd64', name)).config.config?.Env?.[0]
const named = (name: string): object => ({ annotations: { 'org.opencontainers.image.ref.name': name } })

describe('an image layout', () => {
  it('gives its only image without a name, and each by its name', async () => {
    const one = putImage('one').descriptor
    writeIndex(one)
    expect(await read()).toBe('IMAGE=one')
    writeIndex({ ...one, ...named('v1') }, { ...putImage('two').descriptor, ...named('v2') })
    expect(await read('v2')).toBe('IMAGE=two')
    await expect(read()).rejects.toThrow('several such images')
    await expect(read('v3')).rejects.toThrow('no such image for linux/amd64')
  })

  it('chooses by architecture, through an index in the index', async () => {
    const platform = (architecture: string): object => ({ platform: { os: 'linux', architecture } })
    const inner = JSON.stringify({
      manifests: [
        { ...putImage('arm', 'arm64').descriptor, ...platform('arm64') },
        { ...putImage('intel').descriptor, ...platform('amd64') },
      ],
    })
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    writeIndex({ mediaType, digest: put(inner), size: inner.length })
    expect(await read()).toBe('IMAGE=intel')
  })

  it('reads a manifest that does not say its own media type', async () => {
    const { mediaType: _mediaType, ...rest } = JSON.parse(putImage('umoci').bytes.toString()) as Record<string, unknown>
    const bytes = JSON.stringify(rest)
    writeIndex({ mediaType: mediaTypes.manifest, digest: put(bytes), size: bytes.length })
    expect(await read()).toBe('IMAGE=umoci')
  })

  it.each([
    ['there is no index', () => undefined, 'index.json cannot be read'],
    ['the index is no JSON', () => writeFileSync(join(folder, 'index.json'), '{'), 'not an image index'],
    ['a digest is a path', () => writeIndex({ ...layer, digest: 'sha256:../../etc/passwd' }), 'not an image index'],
    ['a blob is missing', () => writeIndex({ ...layer, mediaType: mediaTypes.manifest }), 'cannot be read'],
    [
      'a blob is another',
      () => {
        const { descriptor } = putImage('a')
        writeFileSync(join(folder, 'blobs/sha256', hexOf(descriptor.digest)), putImage('b').bytes)
        writeIndex(descriptor)
      },
      'does not match its digest',
    ],
  ])('says so when %s', async (_what, prepare, message) => {
    prepare()
    await expect(read()).rejects.toThrow(message)
  })
})
