import { digestOf, parseReference } from '@croft/oci'
import { describe, expect, it } from 'vitest'
import { namesOf, planStore, stackConfig, type StoreImage } from './image-store.js'

const [one, two] = [digestOf('one'), digestOf('two')]
const hex = (digest: string): string => digest.slice('sha256:'.length)
const image = (names: string[], ...diffIds: (typeof one)[]): StoreImage => ({
  names,
  config: Buffer.from(JSON.stringify({ of: diffIds })),
  layers: diffIds.map((diffId) => ({ diffId, tree: `/trees/${hex(diffId)}` })),
})
const json = <T>(plan: ReturnType<typeof planStore>, path: string): T =>
  JSON.parse(String(plan.files.find((file) => file.path === path)?.content)) as T

describe('the names an image is found by', () => {
  it.each([
    ['croft/debian-12', ['docker.io/croft/debian-12:latest', 'localhost/croft/debian-12:latest']],
    ['node:20', ['docker.io/library/node:20', 'localhost/node:20']],
    ['docker.io/library/node', ['docker.io/library/node:latest']],
    ['localhost:8080/shop:v3', ['localhost:8080/shop:v3']],
    [`ghcr.io/a/b@${one}`, [`ghcr.io/a/b@${one}`]],
  ])('%s', (written, names) => expect(namesOf(written, parseReference(written))).toEqual(names))
})

describe('a store of images', () => {
  it('has each layer once, under the name that its content and what is below give it', () => {
    const plan = planStore([image(['a'], one), image(['b'], one, two)])
    const layers = json<{ id: string; parent?: string }[]>(plan, 'overlay-layers/layers.json')
    const upper = hex(digestOf(`${hex(one)}+${hex(two)}`))
    expect(layers).toMatchObject([
      { id: hex(one), 'diff-digest': one },
      { id: upper, parent: hex(one), 'diff-digest': two },
    ])
    expect(plan.mounts).toEqual([
      { path: `overlay/${hex(one)}/diff`, tree: `/trees/${hex(one)}` },
      { path: `overlay/${upper}/diff`, tree: `/trees/${hex(two)}` },
    ])
  })

  it('says of each layer which short names lie below it', () => {
    const plan = planStore([image(['b'], one, two)])
    const [below, above] = plan.links
    expect(below?.path).toMatch(/^overlay\/l\/[A-P]{26}$/)
    expect(below?.target).toBe(`../${hex(one)}/diff`)
    const lower = plan.files.find(({ path }) => path.endsWith('/lower'))
    expect(`overlay/${String(lower?.content)}`).toBe(below?.path)
    expect(
      plan.files.filter(({ path }) => path.endsWith('/link')).map(({ content }) => `overlay/l/${String(content)}`),
    ).toEqual([below?.path, above?.path])
  })

  it('knows one image by all its names, with its documents in files', () => {
    const plan = planStore([image(['a'], one), image(['b', 'a'], one)])
    const images = json<Record<string, unknown>[]>(plan, 'overlay-images/images.json')
    expect(images).toHaveLength(1)
    const [only] = images as [{ id: string; names: string[]; layer: string; 'big-data-names': string[] }]
    expect(only).toMatchObject({ names: ['a', 'b'], layer: hex(one), id: hex(digestOf(image([], one).config)) })
    const folder = `overlay-images/${only.id}/`
    const stored = plan.files.filter(({ path }) => path.startsWith(folder)).map(({ path }) => path.slice(folder.length))
    expect(stored).toEqual([
      'manifest',
      ...only['big-data-names'].slice(1).map((name) => `=${Buffer.from(name).toString('base64')}`),
    ])
    for (const { path } of plan.files) expect(plan.folders).toContain(path.slice(0, path.lastIndexOf('/')))
  })
})

it('a stack is an image with its environment and labels, for whoever the Dockerfile says', () => {
  const base = { stack: 'debian-12', diffId: one, env: { PATH: '/bin' }, labels: { a: 'b' } }
  expect(JSON.parse(stackConfig(base, 'amd64').toString())).toMatchObject({
    architecture: 'amd64',
    config: { Env: ['PATH=/bin'], Labels: { a: 'b' } },
    rootfs: { diff_ids: [one] },
  })
})
