import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compressLayer, encodeConfig, encodeManifest, generatedLayerTar, type LayerEntry } from '@croft/oci'
import { BaseImages } from '../../../apps/executor/src/image/base-image.js'
import type { BuildRig } from './build-rig.js'

/** Builder images of our own making, from a stack's layer and a buildpack that is a script. */

/** Whom they build as, and whom what they built runs as. */
export const BUILDS_AS = { uid: 1005, gid: 1006 }
export const RUNS_AS = { uid: 1007, gid: 1006 }
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64'
const CACHE = process.env['CROFT_CACHE'] ?? '/var/cache/croft'

export interface Made {
  digest: string
  /** Of its own uppermost layer. */
  diffId: string
}

export interface Parts {
  files: LayerEntry[]
  env?: Record<string, string>
  labels?: Record<string, string>
  user?: string
}

/** Where an image is put: its blobs first. */
export interface ImageStore {
  blob(digest: string, bytes: Buffer): Promise<void>
  manifest(digest: string, bytes: Buffer): Promise<void>
}

/** Makes an image of two layers: the stack's and one with these files, which has users of its own. */
export async function makeImage(
  store: ImageStore,
  spoolPath: string,
  { files, env = {}, labels = {}, user = '' }: Parts,
): Promise<Made> {
  const base = await new BaseImages(join(CACHE, 'base')).current('debian-12')
  const users = [
    readFileSync(join(base.treePath, 'etc/passwd'), 'utf8'),
    `maker:x:${BUILDS_AS.uid}:${BUILDS_AS.gid}::/home/maker:/bin/sh\n`,
    `runner:x:${RUNS_AS.uid}:${RUNS_AS.gid}::/home/runner:/bin/sh\n`,
  ]
  const tar = await generatedLayerTar([{ kind: 'file', path: '/etc/passwd', content: users.join('') }, ...files])
  const layer = await compressLayer(tar, spoolPath)
  const config = encodeConfig({
    created: '1980-01-01T00:00:01Z',
    architecture: ARCHITECTURE,
    os: 'linux',
    config: {
      User: user,
      Env: Object.entries({ ...base.env, ...env }).map(([name, value]) => `${name}=${value}`),
      Labels: { ...base.labels, 'io.croft.stack': 'debian-12', ...labels },
    },
    rootfs: { type: 'layers', diff_ids: [base.diffId, layer.diffId] },
    history: [],
  })
  const manifest = encodeManifest(config.descriptor, [base.descriptor, layer.descriptor])
  const opened = layer.open()
  const own = Buffer.isBuffer(opened) ? opened : Buffer.concat(await opened.toArray())
  await store.blob(layer.descriptor.digest, own)
  await store.blob(config.descriptor.digest, Buffer.from(config.bytes))
  await store.blob(base.descriptor.digest, Buffer.concat(await base.openBlob().toArray()))
  await store.manifest(manifest.descriptor.digest, Buffer.from(manifest.bytes))
  return { digest: manifest.descriptor.digest, diffId: layer.diffId }
}

/** The same in the registry of a rig. */
export function imageOnStack(rig: BuildRig, parts: Parts): Promise<Made> {
  const { blobs, manifests } = rig.registry
  const store: ImageStore = {
    blob: (digest, bytes) => Promise.resolve(void blobs.set(digest, bytes)),
    manifest: (digest, bytes) => Promise.resolve(void manifests.set(digest, bytes)),
  }
  return makeImage(store, join(rig.folder, 'spool-of-image'), parts)
}

/** The files of a buildpack where a builder image has them. */
export function inBuilder(id: string, version: string, build: string): LayerEntry[] {
  const folder = `/cnb/buildpacks/${id.replaceAll('/', '_')}/${version}`
  const toml = `api = "0.10"\n[buildpack]\nid = "${id}"\nversion = "${version}"\nname = "Hello"\n`
  return [
    { kind: 'file', path: `${folder}/buildpack.toml`, content: toml },
    {
      kind: 'file',
      path: `${folder}/bin/detect`,
      content: '#!/bin/sh\n[ -f hello.txt ] || exit 100\n',
      isExecutable: true,
    },
    { kind: 'file', path: `${folder}/bin/build`, content: build, isExecutable: true },
  ]
}

/** The labels and the environment of a builder image with this buildpack. */
export function builderParts(id: string, version: string, runImage: string): Pick<Parts, 'labels' | 'env'> {
  const labels = {
    'io.buildpacks.stack.id': 'acme.base',
    'io.buildpacks.builder.metadata': JSON.stringify({ stack: { runImage: { image: runImage } } }),
    'io.buildpacks.buildpack.order': JSON.stringify([{ group: [{ id, version }] }]),
    'io.buildpacks.buildpack.layers': JSON.stringify({ [id]: { [version]: { api: '0.10' } } }),
  }
  return { labels, env: { CNB_USER_ID: String(BUILDS_AS.uid), CNB_GROUP_ID: String(BUILDS_AS.gid) } }
}
