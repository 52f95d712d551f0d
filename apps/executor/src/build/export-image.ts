import { chown, mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import type { Digest } from '@croft/kit'
import {
  compressLayer,
  digestOfStream,
  encodeConfig,
  encodeManifest,
  layerTar,
  unpackLayer,
  type Image,
  type LayerBlob,
  type LayerEntry,
  type Owner,
  type RegistryClient,
} from '@croft/oci'
import {
  assembleImage,
  configLayer,
  escapeId,
  launcherLayer,
  LifecycleError,
  processTypesLayer,
  type BuildCache,
  type Built,
  type BuiltBuildpack,
  type BuiltLayer,
  type ImageLayer,
  type SbomCopy,
  type Slice,
} from '@croft/lifecycle'
import type { BuildRecord } from '@croft/protocol'
import type { GroundRunImage } from '../builder/ground.js'
import type { Images } from '../image/images.js'
import type { LayerStore } from '../image/layers.js'
import type { SharedLayers } from '../image/shared-layers.js'
import { moveSlices } from './app-slices.js'
import type { AppCache } from './build-cache.js'
import { EXEC_ENV } from './build-container.js'
import { LAYERS } from './buildpacks-container.js'
import { WORKSPACE } from './container-shape.js'
import type { BuildFolders } from './build-folders.js'
import { generatedLayer } from './generated-layer.js'
import { ImageUpload } from './image-upload.js'
import { layerState, mergeTrees, moveTree } from './layer-trees.js'
import { normaliseTree } from './normalise-tree.js'
import type { Restored } from './restore-layers.js'
import { allOf } from './all-of.js'

export interface ExportPorts {
  layers: LayerStore
  images: Images
  registry: RegistryClient
  /** What other homes of the host made; absent: nothing. */
  shared?: SharedLayers
}

export interface ExportInput {
  appId: string
  built: Built
  runImage: GroundRunImage
  /** Where what the build wrote lies. Its last process is gone. */
  folders: BuildFolders
  /** By `<buildpack folder>/<layer>`. */
  restored: ReadonlyMap<string, Restored>
  previous: Image | null
  appCache: AppCache
  /** Told when all of the image is on this node, which the registry may still lack. */
  onImage: (image: Digest) => void
  signal: AbortSignal
}

export interface Exported {
  image: Digest
  newLayers: number
  newBytes: number
  layers: BuildRecord['layers']
  cache: BuildCache
}

/**
 * Makes the image of a finished build: seals the trees it left, by rename, takes their digests, uploads what the registry lacks and
 * puts the manifest last. A layer that the build did not touch is taken over by its digest without being read.
 */
export async function exportImage(input: ExportInput, ports: ExportPorts): Promise<Exported> {
  const { appId, previous, signal } = input
  const likely = new Set(previous?.manifest.layers.map(({ digest }) => digest))
  const upload = new ImageUpload(ports.registry, appId, likely, signal)
  try {
    return await new Exporter(input, ports, upload).run()
  } finally {
    await upload.settled()
  }
}

class Exporter {
  #blobs = 0

  constructor(
    private readonly input: ExportInput,
    private readonly ports: ExportPorts,
    private readonly upload: ImageUpload,
  ) {}

  async run(): Promise<Exported> {
    const { built, runImage } = this.input
    const metadata = { buildpacks: built.buildpacks, processes: built.processes }
    for (const layer of runImage.layers) {
      this.upload.begin(layer.descriptor, () => ({ open: () => runImage.openBlob(layer) }))
    }
    const [launch, app, sbom, launcher, config, processTypes] = await Promise.all([
      this.#launchLayers(),
      this.#appLayers(built.slices),
      this.#sbomLayer(built.sboms),
      this.#generated(launcherLayer()),
      this.#generated(configLayer(metadata, LAYERS)),
      this.#generated(processTypesLayer(built.processes)),
    ])
    const image = assembleImage({
      runImage,
      buildpacks: built.buildpacks,
      processes: built.processes,
      labels: built.labels,
      launchLayers: launch.layers,
      sbom,
      app,
      launcher,
      config,
      processTypes,
      layersDirectory: LAYERS,
      appDirectory: WORKSPACE,
      execEnv: EXEC_ENV,
      project: null,
    })
    const encodedConfig = encodeConfig(image.config)
    const manifest = encodeManifest(
      encodedConfig.descriptor,
      image.layers.map(({ descriptor }) => descriptor),
    )
    this.upload.begin(encodedConfig.descriptor, () => ({ open: () => encodedConfig.bytes }))
    const uploading = this.upload.finish({ digest: manifest.descriptor.digest, bytes: manifest.bytes })
    const [digest] = await Promise.all([this.#remembered(manifest.bytes, encodedConfig.bytes), uploading])
    const before = new Set([
      ...(this.input.previous?.config.rootfs.diff_ids ?? []),
      ...runImage.layers.map(({ diffId }) => diffId),
    ])
    const named = new Map<ImageLayer, string>([
      ...runImage.layers.map((layer): [ImageLayer, string] => [layer, runImage.layerName]),
      ...[...launch.layers].flatMap(([id, layers]) =>
        [...layers].map(([name, layer]): [ImageLayer, string] => [layer, `${id}: ${name}`]),
      ),
      ...app.map((layer): [ImageLayer, string] => [layer, 'app']),
    ])
    const added = image.layers.filter(({ diffId }) => !before.has(diffId))
    return {
      image: digest,
      newLayers: added.length,
      newBytes: added.reduce((sum, { descriptor }) => sum + descriptor.size, 0),
      layers: image.layers.map((layer) => ({
        name: named.get(layer) ?? 'croft',
        digest: layer.descriptor.digest,
        bytes: layer.descriptor.size,
        isNew: added.includes(layer),
      })),
      cache: launch.cache,
    }
  }

  async #remembered(manifest: Buffer, config: Buffer): Promise<Digest> {
    const image = await this.ports.images.remember(manifest, config)
    this.input.onImage(image)
    return image
  }

  /** Every launch layer, and what is kept for the next build of the layers that are not in the image. */
  async #launchLayers(): Promise<{ layers: Map<string, Map<string, ImageLayer>>; cache: BuildCache }> {
    const layers = new Map<string, Map<string, ImageLayer>>()
    const cache: Record<string, BuildCache[string]> = {}
    for (const buildpack of this.input.built.buildpacks) {
      const launch = buildpack.layers.filter(({ types }) => types.launch)
      const exported = await Promise.all(launch.map((layer) => this.#launchLayer(buildpack, layer)))
      layers.set(buildpack.id, new Map(launch.map(({ name }, at) => [name, exported[at] as ImageLayer])))
      for (const layer of buildpack.layers.filter(({ types }) => types.cache && !types.launch)) {
        const tree = await this.#cachedTree(buildpack, layer)
        if (tree === null) continue
        const sboms = this.#cachedSboms(buildpack, layer)
        const kept = { types: layer.types, metadata: layer.metadata, tree, ...(sboms !== null && { sboms }) }
        cache[buildpack.id] = { ...cache[buildpack.id], [layer.name]: kept }
      }
    }
    return { layers, cache }
  }

  async #launchLayer(buildpack: BuiltBuildpack, layer: BuiltLayer): Promise<ImageLayer> {
    const place = this.#place(buildpack, layer)
    const { owner } = this.input.folders
    const formerDiffId = this.input.restored.get(place.key)?.diffId ?? null
    let state = await layerState(place.upper, place.lower)
    if (state === 'unchanged' && formerDiffId === null) {
      await mkdir(place.upper, { recursive: true }) // it was kept for builds only and now becomes part of the image
      await chown(place.upper, owner.uid, owner.gid)
      state = 'modified'
    }
    if (state === 'unchanged' || (state === 'absent' && !layer.types.cache && formerDiffId !== null)) {
      return this.#reused(buildpack, layer, formerDiffId)
    }
    if (state === 'absent') {
      const title = `${buildpack.id} describes a layer "${layer.name}" that it did not make`
      throw new LifecycleError('export', title, 'fix the buildpack')
    }
    return this.#inDraft(async (draft) => {
      await this.#collect(place, state, join(draft, 'layers', place.key))
      return this.#sealed(draft, 'layers', owner, guessKey(buildpack, layer), this.ports.shared)
    })
  }

  /** A layer of the former image, taken over by its digest. */
  async #reused(buildpack: BuiltBuildpack, layer: BuiltLayer, diffId: Digest | null): Promise<ImageLayer> {
    const { previous } = this.input
    const index = diffId === null ? -1 : (previous?.config.rootfs.diff_ids.indexOf(diffId) ?? -1)
    const descriptor = previous?.manifest.layers[index]
    if (diffId === null || descriptor === undefined) {
      const title = `layer "${layer.name}" of ${buildpack.id} is in no former image`
      throw new LifecycleError('export', title, 'push with -o rebuild')
    }
    this.#uploadFromTree({ diffId, descriptor }, 'layers', this.input.folders.owner)
    return { diffId, descriptor }
  }

  async #cachedTree(buildpack: BuiltBuildpack, layer: BuiltLayer): Promise<string | null> {
    const place = this.#place(buildpack, layer)
    const state = await layerState(place.upper, place.lower)
    if (state === 'absent') return null
    const former = this.input.restored.get(place.key)?.content
    if (state === 'unchanged') return former?.kind === 'cache' ? former.tree : null
    const draft = await this.input.appCache.draft()
    await this.#collect(place, state, join(draft.path, 'layers', place.key))
    return draft.tree
  }

  #cachedSboms(buildpack: BuiltBuildpack, layer: BuiltLayer): Record<string, string> | null {
    const folder = `${escapeId(buildpack.id)}/${layer.name}/`
    const own = this.input.built.sboms.filter(({ kind, path }) => kind === 'cache' && path.startsWith(folder))
    return own.length === 0 ? null : Object.fromEntries(own.map(({ path, text }) => [path.slice(folder.length), text]))
  }

  #place(buildpack: BuiltBuildpack, layer: BuiltLayer): { key: string; upper: string; lower: string | null } {
    const key = `${escapeId(buildpack.id)}/${layer.name}`
    const tree = this.input.restored.get(key)?.tree ?? null
    return { key, upper: join(this.input.folders.layers, key), lower: tree === null ? null : join(tree, 'layers', key) }
  }

  async #collect(
    place: { upper: string; lower: string | null },
    state: 'replaced' | 'modified',
    to: string,
  ): Promise<void> {
    if (state === 'modified' && place.lower !== null) await mergeTrees(place.upper, place.lower, to)
    else moveTree(place.upper, to)
  }

  /** The slices of the app that hold anything, and the rest of it. */
  async #appLayers(slices: readonly Slice[]): Promise<ImageLayer[]> {
    const { layers } = this.ports
    const { workspace } = this.input.folders
    const { owner } = this.input.runImage
    const drafts: string[] = []
    const draft = async (): Promise<string> => {
      const made = await layers.draft()
      drafts.push(made)
      return made
    }
    try {
      const sliced = await moveSlices(workspace, slices, async () => {
        const folder = join(await draft(), 'workspace')
        await mkdir(folder)
        return folder
      })
      const rest = await draft()
      await rename(workspace, join(rest, 'workspace'))
      await mkdir(workspace)
      const sealed = sliced.map(({ slice, folder }) => {
        const guess = JSON.stringify(['slice', this.input.appId, slice.paths])
        return this.#sealed(dirname(folder), 'workspace', owner, guess)
      })
      return await allOf([...sealed, this.#sealed(rest, 'workspace', owner)])
    } catch (error) {
      for (const left of drafts) layers.discard(left)
      throw error
    }
  }

  /** Lends a draft of a layer's tree; one that does not become a layer goes at once, when nobody works on it any more. */
  async #inDraft<T>(use: (draft: string) => Promise<T>): Promise<T> {
    const { layers } = this.ports
    const draft = await layers.draft()
    try {
      return await use(draft)
    } catch (error) {
      layers.discard(draft)
      throw error
    }
  }

  /** The bills of materials of what runs, null when buildpacks left none. */
  async #sbomLayer(sboms: readonly SbomCopy[]): Promise<ImageLayer | null> {
    const entries = sboms
      .filter(({ kind }) => kind === 'launch')
      .map(({ path, text }): LayerEntry => ({
        kind: 'file',
        path: `${LAYERS}/sbom/launch/${path}`,
        content: text,
      }))
    return entries.length === 0 ? null : this.#generated(entries)
  }

  /**
   * Seals a tree nobody writes to, takes its digest, keeps it as a layer and uploads its blob. A layer like one made before
   * (`guess`), here or in another home (`shared`), is only read first: when it is that one, there is nothing to compress.
   */
  async #sealed(draft: string, top: string, owner: Owner, guess?: string, shared?: SharedLayers): Promise<ImageLayer> {
    const { layers } = this.ports
    await normaliseTree(draft, owner)
    const known = guess === undefined ? null : (this.#likely(guess) ?? (await shared?.find(guess)) ?? null)
    if (known !== null && (await digestOfStream(layerTar(draft, [top], owner))) === known.diffId) {
      await layers.adopt(known.diffId, known.descriptor, draft)
      if (guess !== undefined) layers.expect(guess, known.diffId)
      this.#uploadFromTree(known, top, owner)
      return known
    }
    const blob = await compressLayer(layerTar(draft, [top], owner), this.#spoolPath())
    this.upload.begin(blob.descriptor, () => blob)
    await layers.adopt(blob.diffId, blob.descriptor, draft)
    if (guess !== undefined) {
      layers.expect(guess, blob.diffId)
      await shared?.keep(guess, blob)
    }
    return layerOf(blob)
  }

  /** The layer of this node that was last made of the same. */
  #likely(guess: string): ImageLayer | null {
    const { layers } = this.ports
    const diffId = layers.likely(guess)
    const descriptor = diffId === undefined ? undefined : layers.blobOf(diffId)
    return diffId === undefined || descriptor === undefined ? null : { diffId, descriptor }
  }

  /** Uploads a layer that the node has: only when the registry lacks it are its bytes looked for, or made anew. */
  #uploadFromTree({ diffId, descriptor }: ImageLayer, top: string, owner: Owner): void {
    const { layers, shared } = this.ports
    this.upload.begin(
      descriptor,
      async () =>
        (await shared?.open(descriptor)) ??
        (await compressLayer(layerTar(layers.path(diffId), [top], owner), this.#spoolPath())),
    )
  }

  /** A layer made of a few small files of the lifecycle's own. */
  async #generated(entries: LayerEntry[]): Promise<ImageLayer> {
    const { layers } = this.ports
    const { tar, blob } = await generatedLayer(entries, this.#spoolPath())
    if (!layers.has(blob.diffId)) {
      await this.#inDraft(async (draft) => {
        await unpackLayer(Readable.from([tar]), draft)
        await layers.adopt(blob.diffId, blob.descriptor, draft)
      })
    }
    this.upload.begin(blob.descriptor, () => blob)
    return layerOf(blob)
  }

  #spoolPath(): string {
    this.#blobs += 1
    return join(this.input.folders.spool, String(this.#blobs))
  }
}

/** Layers of one buildpack with the same name and metadata are likely the same. */
function guessKey(buildpack: BuiltBuildpack, layer: BuiltLayer): string {
  return JSON.stringify([buildpack.id, buildpack.version, layer.name, layer.metadata])
}

const layerOf = ({ diffId, descriptor }: LayerBlob): ImageLayer => ({ diffId, descriptor })
