import { describe, expect, it } from 'vitest'
import type { Digest } from '@croft/kit'
import { mediaTypes, RegistryError, RegistryUnreachable, type Descriptor } from '@croft/oci'
import { ImageUpload } from './image-upload.js'

const digestOf = (letter: string): Digest => `sha256:${letter.repeat(64)}` as Digest
const blob = (letter: string): Descriptor => ({ mediaType: mediaTypes.layerZstd, digest: digestOf(letter), size: 1 })
const manifest = { digest: digestOf('f'), bytes: Buffer.from('{}') }
const never = new AbortController().signal

/** A registry with some blobs, which takes the manifest of `needed` only when it has them. */
class FakeRegistry {
  readonly calls: string[] = []
  constructor(
    readonly present: Set<Digest>,
    readonly needed: Digest[],
    readonly failure?: Error,
    readonly isGone = false,
  ) {}
  hasBlob(_name: string, digest: Digest): Promise<boolean> {
    this.calls.push(`has ${digest[7]}`)
    return Promise.resolve(this.present.has(digest))
  }
  putBlob(_name: string, { digest }: Pick<Descriptor, 'digest' | 'size'>): Promise<void> {
    this.calls.push(`put ${digest[7]}`)
    if (this.failure !== undefined) return Promise.reject(this.failure)
    this.present.add(digest)
    return Promise.resolve()
  }
  putManifest(): Promise<void> {
    if (this.isGone) {
      this.calls.push('manifest unheard')
      return Promise.reject(new RegistryUnreachable('the registry cannot be reached'))
    }
    const isWhole = this.needed.every((digest) => this.present.has(digest))
    this.calls.push(isWhole ? 'manifest' : 'manifest refused')
    return isWhole ? Promise.resolve() : Promise.reject(new RegistryError('the registry answered 404'))
  }
}

function upload(registry: FakeRegistry, likely: Digest[], blobs: Descriptor[]): ImageUpload {
  const image = new ImageUpload(registry, 'app', new Set(likely), never)
  for (const descriptor of blobs) image.begin(descriptor, () => ({ open: () => Buffer.from('x') }))
  return image
}

describe('the upload of an image', () => {
  it('sends what the registry lacks and puts the manifest last', async () => {
    const registry = new FakeRegistry(new Set([digestOf('a')]), [digestOf('a'), digestOf('b')])
    await upload(registry, [], [blob('a'), blob('b')]).finish(manifest)
    expect(registry.calls).toEqual(['has a', 'has b', 'put b', 'manifest'])
  })

  it('does not ask for the blobs of the former image', async () => {
    const registry = new FakeRegistry(new Set([digestOf('a')]), [digestOf('a'), digestOf('b')])
    await upload(registry, [digestOf('a')], [blob('a'), blob('b')]).finish(manifest)
    expect(registry.calls).toEqual(['has b', 'put b', 'manifest'])
  })

  it('looks for every blob when the registry lacks one that the former image had', async () => {
    const registry = new FakeRegistry(new Set(), [digestOf('a'), digestOf('b')])
    await upload(registry, [digestOf('a')], [blob('a'), blob('b')]).finish(manifest)
    expect(registry.calls).toEqual(['has b', 'put b', 'manifest refused', 'has a', 'put a', 'manifest'])
  })

  it('sends a blob that two layers share once', async () => {
    const registry = new FakeRegistry(new Set(), [digestOf('a')])
    await upload(registry, [], [blob('a'), blob('a')]).finish(manifest)
    expect(registry.calls).toEqual(['has a', 'put a', 'manifest'])
  })

  it('puts no manifest when a blob could not be sent', async () => {
    const registry = new FakeRegistry(new Set(), [digestOf('a')], new RegistryError('full'))
    await expect(upload(registry, [], [blob('a')]).finish(manifest)).rejects.toThrow('full')
    expect(registry.calls).toEqual(['has a', 'put a'])
  })

  it('looks for no blob, and waits no second time, when the registry cannot be reached', async () => {
    const registry = new FakeRegistry(new Set([digestOf('a')]), [digestOf('a')], undefined, true)
    await expect(upload(registry, [digestOf('a')], [blob('a')]).finish(manifest)).rejects.toThrow('cannot be reached')
    expect(registry.calls).toEqual(['manifest unheard'])
  })

  it('fails when the registry refuses a manifest whose blobs it was all asked for', async () => {
    const registry = new FakeRegistry(new Set(), [digestOf('c')])
    await expect(upload(registry, [], [blob('a')]).finish(manifest)).rejects.toThrow('404')
    expect(registry.calls.filter((call) => call === 'manifest refused')).toHaveLength(1)
  })
})
