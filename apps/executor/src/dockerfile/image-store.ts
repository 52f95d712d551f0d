import { createHash } from 'node:crypto'
import type { Digest } from '@croft/kit'
import { digestOf, encodeDocument, encodeManifest, hexOf, mediaTypes, type ImageReference } from '@croft/oci'

/**
 * The images a Dockerfile builds on, as buildah finds them without copying a byte: an additional image store of containers/storage
 * (overlay driver), whose layers are trees that this node has unpacked anyway. Pure.
 */

/** An image to be found by its names. */
export interface StoreImage {
  /** As `namesOf` gives them. */
  names: readonly string[]
  /** The image's configuration, as it is. */
  config: Buffer
  /** From the base up. */
  layers: readonly { diffId: Digest; tree: string }[]
}

export interface StorePlan {
  /** Folders of the store, parents first. */
  folders: string[]
  files: { path: string; content: string | Buffer }[]
  links: { path: string; target: string }[]
  /** Where in the store a tree is to appear. */
  mounts: { path: string; tree: string }[]
}

/** Nothing here depends on the moment: the same image is the same store. */
const CREATED = '1980-01-01T00:00:01Z'

/** Under which names an image is looked for that a Dockerfile calls so. */
export function namesOf(written: string, { host, name, tag, digest }: ImageReference): string[] {
  const ending = digest === null ? `:${tag ?? 'latest'}` : `@${digest}`
  const full = `${host}/${name}${ending}`
  const isShort = host === 'docker.io' && !written.startsWith('docker.io/')
  return isShort ? [full, `localhost/${name.replace(/^library\//, '')}${ending}`] : [full]
}

/** What containers/storage calls a layer: the hash of what is below it and of its own content. */
function layerIds(layers: StoreImage['layers']): string[] {
  const ids: string[] = []
  for (const { diffId } of layers) {
    const below = ids.at(-1)
    ids.push(below === undefined ? hexOf(diffId) : sha256(`${below}+${hexOf(diffId)}`))
  }
  return ids
}

/** The store that holds these images. */
export function planStore(images: readonly StoreImage[]): StorePlan {
  const plan: StorePlan = {
    folders: ['overlay', 'overlay/l', 'overlay-images', 'overlay-layers'],
    files: ['overlay-images/images.lock', 'overlay-layers/layers.lock'].map((path) => ({ path, content: '' })),
    links: [],
    mounts: [],
  }
  const layerRecords = new Map<string, object>()
  const imageRecords = new Map<string, { names: string[] } & Record<string, unknown>>()
  for (const image of images) {
    const ids = layerIds(image.layers)
    for (const [index, { diffId, tree }] of image.layers.entries()) {
      const id = ids[index] ?? ''
      if (layerRecords.has(id)) continue
      const below = ids.slice(0, index).toReversed()
      addLayer(plan, id, below, tree)
      layerRecords.set(id, {
        id,
        ...(below[0] !== undefined && { parent: below[0] }),
        created: CREATED,
        'diff-digest': diffId,
        'diff-size': 1, // what nobody reads again: the layer is never copied from here
      })
    }
    const configDigest = digestOf(image.config)
    const known = imageRecords.get(configDigest)
    if (known !== undefined) known.names.push(...image.names.filter((name) => !known.names.includes(name)))
    else imageRecords.set(configDigest, addImage(plan, image, ids.at(-1) ?? ''))
  }
  plan.files.push(
    { path: 'overlay-images/images.json', content: JSON.stringify([...imageRecords.values()]) },
    { path: 'overlay-layers/layers.json', content: JSON.stringify([...layerRecords.values()]) },
  )
  return plan
}

/** `below`: the layers it stands on, the nearest first. */
function addLayer(plan: StorePlan, id: string, below: readonly string[], tree: string): void {
  const folder = `overlay/${id}`
  plan.folders.push(folder, `${folder}/diff`)
  plan.files.push({ path: `${folder}/link`, content: linkOf(id) })
  plan.links.push({ path: `overlay/l/${linkOf(id)}`, target: `../${id}/diff` })
  plan.mounts.push({ path: `${folder}/diff`, tree })
  if (below.length === 0) return
  plan.files.push({ path: `${folder}/lower`, content: below.map((other) => `l/${linkOf(other)}`).join(':') })
}

function addImage(plan: StorePlan, image: StoreImage, layer: string): { names: string[] } & Record<string, unknown> {
  const id = hexOf(digestOf(image.config))
  const config = { mediaType: mediaTypes.config, digest: digestOf(image.config), size: image.config.length }
  const layers = image.layers.map(({ diffId }) => ({ mediaType: mediaTypes.layerTar, digest: diffId, size: 1 }))
  const manifest = encodeManifest(config, layers)
  const data: [name: string, content: Buffer][] = [
    ['manifest', manifest.bytes],
    [`manifest-${manifest.descriptor.digest}`, manifest.bytes],
    [config.digest, image.config],
  ]
  plan.folders.push(`overlay-images/${id}`)
  for (const [name, content] of data) plan.files.push({ path: `overlay-images/${id}/${fileOf(name)}`, content })
  return {
    id,
    digest: manifest.descriptor.digest,
    names: [...image.names],
    layer,
    metadata: '{}',
    'big-data-names': data.map(([name]) => name),
    'big-data-sizes': Object.fromEntries(data.map(([name, { length }]) => [name, length])),
    'big-data-digests': Object.fromEntries(data.map(([name, content]) => [name, digestOf(content)])),
    created: CREATED,
  }
}

/** The file of a named piece of data: names that are no plain file names are written in base 64. */
function fileOf(name: string): string {
  return /^[.0-9a-z]+$/.test(name) ? name : `=${Buffer.from(name).toString('base64')}`
}

/** The short name by which other layers refer to one: 26 letters. */
function linkOf(id: string): string {
  return sha256(`link ${id}`)
    .slice(0, 26)
    .replace(/./g, (digit) => 'ABCDEFGHIJKLMNOP'[parseInt(digit, 16)] ?? '')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** The configuration of a stack as an image to build on. */
export function stackConfig(
  base: { stack: string; diffId: Digest; env: Record<string, string>; labels: Record<string, string> },
  architecture: string,
): Buffer {
  return encodeDocument(mediaTypes.config, {
    created: CREATED,
    architecture,
    os: 'linux',
    config: {
      Env: Object.entries(base.env).map(([name, value]) => `${name}=${value}`),
      Cmd: ['/bin/bash'],
      Labels: base.labels,
    },
    rootfs: { type: 'layers', diff_ids: [base.diffId] },
    history: [{ created: CREATED, created_by: `croft/${base.stack}` }],
  }).bytes
}
