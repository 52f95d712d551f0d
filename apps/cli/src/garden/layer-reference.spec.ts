import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ImageError } from '@croft/garden-api'
import { parseLayerReference } from './layer-reference.js'

const HEX = 'ab'.repeat(32)
const whole = (change: Record<string, string> = {}): string =>
  `preloaded+layer:/base.tar?${new URLSearchParams({ layer: '/app.tgz', layer_path: '/home/app', layer_digest: HEX, ...change })}`

describe('the name of an image with a layer above it', () => {
  it('says where the base, the layer and its directory are, and what the layer must be', () => {
    const digest = `sha256:${HEX}`
    const expected = { base: '/base.tar', layer: '/app.tgz', path: '/home/app', digest }
    expect(parseLayerReference(whole())).toEqual(expected)
    expect(parseLayerReference(whole({ layer_digest: digest }))).toEqual(expected)
  })
  it('needs no base: then the layer lies above the default image', () => {
    expect(parseLayerReference(whole().replace('/base.tar', ''))?.base).toBe('')
  })
  it('is none of another scheme', () => {
    expect(['/image.tar', 'docker:///busybox', 'preloaded:stack', ''].map(parseLayerReference)).toEqual(
      Array<null>(4).fill(null),
    )
  })
  it.each([
    ['preloaded+layer:/base.tar', 'layer is missing'],
    [whole({ layer: '' }), 'layer is missing'],
    [whole({ layer_path: '' }), 'layer_path is missing'],
    [whole({ layer_digest: '' }), 'layer_digest is missing'],
    [whole({ layer_path: 'home/app' }), 'layer_path must be an absolute path'],
    [whole({ layer_path: '/home/../etc' }), 'layer_path must be an absolute path'],
    [whole({ layer_digest: 'sha1:abc' }), 'layer_digest must be the sha256'],
    [whole({ layer_digest: HEX.slice(1) }), 'layer_digest must be the sha256'],
  ])('%s is refused, with the form it should have', (uri, message) => {
    const refused = (): unknown => parseLayerReference(uri)
    expect(refused).toThrow(ImageError)
    expect(refused).toThrow(message)
    expect(refused).toThrow(
      expect.toSatisfy((error: ImageError) => error.suggestion?.endsWith('&layer_digest=sha256:HEX') === true),
    )
  })
  it('never names a directory that leaves the image', () => {
    fc.assert(
      fc.property(fc.string(), (path) => {
        try {
          const parts = parseLayerReference(whole({ layer_path: path }))?.path.split('/') ?? []
          expect(parts[0]).toBe('')
          expect(parts).not.toContain('..')
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError)
        }
      }),
    )
  })
})
