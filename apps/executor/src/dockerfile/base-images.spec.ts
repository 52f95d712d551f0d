import { digestOf, parseDockerfile, type Descriptor } from '@croft/oci'
import { describe, expect, it } from 'vitest'
import type { BaseImage } from '../image/base-image.js'
import { prepareImages, type BaseImagePorts } from './base-images.js'
import { DockerfileFailed } from './dockerfile-failed.js'

const build = { buildId: 'b', appId: 'a', architecture: 'amd64' }
const layer: Descriptor = { mediaType: 'x', digest: digestOf('blob'), size: 4 }
const uploaded: string[] = []
const asked: string[] = []
const ports: BaseImagePorts = {
  stack: (stack) =>
    Promise.resolve({
      stack,
      diffId: digestOf(stack),
      treePath: `/base/${stack}`,
      descriptor: { ...layer, digest: digestOf(`${stack} blob`) },
      env: { PATH: '/bin' },
      user: '1:1',
      labels: {},
      openBlob: () => null as never,
    } satisfies BaseImage),
  registry: {
    hasBlob: () => Promise.resolve(false),
    putBlob: (_name, { digest }) => {
      uploaded.push(digest)
      return Promise.resolve()
    },
  },
  controller: {
    image: (_id, reference) => {
      asked.push(reference)
      return Promise.resolve(
        reference.startsWith('bad')
          ? { refusal: { title: 'nobody answers', suggestion: 'ask again' } }
          : { image: digestOf('image') },
      )
    },
  },
  images: {
    ensure: () => Promise.resolve(),
    documents: () =>
      Promise.resolve({
        manifest: { schemaVersion: 2, config: layer, layers: [layer, layer] },
        config: {
          architecture: 'amd64',
          os: 'linux',
          rootfs: { type: 'layers', diff_ids: [digestOf('1'), digestOf('2')] },
        },
      }),
    mounts: () => Promise.resolve({ lowerPaths: ['/trees/2', '/trees/1'], env: [] }),
    rawConfig: () => Promise.resolve(Buffer.from('{}')),
  },
}
const prepare = (text: string) => prepareImages(parseDockerfile(text), build, ports, new AbortController().signal)

describe('what a Dockerfile builds on', () => {
  it('is a stack of this host, whose layer the registry gets', async () => {
    const { images, stacks, hasOthers, known, names } = await prepare(
      'FROM croft/debian-13\nFROM scratch\nCOPY --from=0 / /',
    )
    expect(images.map(({ names: called, layers }) => [called[0], layers[0]?.tree])).toEqual([
      ['docker.io/croft/debian-13:latest', '/base/debian-13'],
    ])
    expect([stacks.length, hasOthers]).toEqual([1, false])
    expect(names.get(digestOf('debian-13'))).toBe('stack debian-13')
    expect(known.get(digestOf('debian-13'))?.digest).toBe(digestOf('debian-13 blob'))
    expect(uploaded).toContain(digestOf('debian-13 blob'))
  })

  it('is an image that the platform brings, with its trees from the base up', async () => {
    const { images, hasOthers, known } = await prepare('FROM node:20')
    expect(asked.at(-1)).toBe('node:20')
    expect(images[0]?.layers).toEqual([
      { diffId: digestOf('1'), tree: '/trees/1' },
      { diffId: digestOf('2'), tree: '/trees/2' },
    ])
    expect([hasOthers, known.size]).toEqual([true, 2])
  })

  it.each([
    ['\nFROM bad:1', 'Dockerfile line 2: nobody answers', 'ask again'],
    ['FROM croft/debian-9', 'Dockerfile line 1: Croft has no such image', 'croft/debian-12'],
    ['FROM croft/debian-12:1.0', 'Dockerfile line 1: Croft has no such image', 'croft/debian-12'],
    ['FROM UPPER/x', 'Dockerfile line 1: "UPPER/x" names no image', 'lower-case'],
  ])('%j is refused with its line', async (text, title, suggestion) => {
    const refused = (await prepare(text).catch((error: unknown) => error)) as DockerfileFailed
    expect(refused).toBeInstanceOf(DockerfileFailed)
    expect(refused.title).toBe(title)
    expect(refused.suggestion).toContain(suggestion)
  })
})
