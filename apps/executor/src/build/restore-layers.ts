import { chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, type Digest, type Logger } from '@croft/kit'
import type { Image } from '@croft/oci'
import {
  escapeId,
  planRestore,
  writeRestoredLayerToml,
  writeStoreToml,
  type BuildCache,
  type LifecycleLabel,
  type RestoredLayer,
} from '@croft/lifecycle'
import type { Images } from '../image/images.js'
import type { LayerStore } from '../image/layers.js'
import type { AppCache } from './build-cache.js'
import type { BuildFolders } from './build-folders.js'

/** A layer that came back, by `<buildpack folder>/<layer>`. */
export interface Restored extends RestoredLayer {
  /** The tree that holds its content; null when only its file came back. */
  tree: string | null
}

export interface RestoreInput {
  group: readonly { id: string }[]
  appId: string
  label: LifecycleLabel | null
  previous: Image | null
  cache: BuildCache
  appCache: AppCache
  layers: LayerStore
  images: Images
  folders: BuildFolders
  logger: Logger
  signal: AbortSignal
}

/**
 * Makes each buildpack's folder in the upper directory of `/layers`, with the files of restored layers, and finds the trees that
 * hold their contents. A tree that is gone is pulled again; when that fails the layer stays away, and the buildpack makes it anew.
 */
export async function restoreLayers(input: RestoreInput): Promise<Map<string, Restored>> {
  const restored = new Map<string, Restored>()
  const { uid, gid } = input.folders.owner
  for (const { id, layers, store } of planRestore(input.group, input.label, input.cache)) {
    const name = escapeId(id)
    const folder = join(input.folders.layers, name)
    await mkdir(folder, { recursive: true, mode: 0o755 }) // two ids may have one folder name
    await chown(folder, uid, gid)
    const write = async (file: string, text: string): Promise<void> => {
      await writeFile(join(folder, file), text, { mode: 0o644 })
      await chown(join(folder, file), uid, gid)
    }
    if (store !== undefined) await write('store.toml', writeStoreToml(store))
    for (const layer of layers) {
      const tree = await treeOf(layer, input)
      if (layer.content !== null && tree === null) continue
      await write(`${layer.name}.toml`, writeRestoredLayerToml(layer.metadata))
      for (const [file, text] of await sbomsOf(name, layer, input)) await write(`${layer.name}.${file}`, text)
      restored.set(`${name}/${layer.name}`, { ...layer, tree })
    }
  }
  return restored
}

/** A layer's bills of materials, `sbom.<ext>` to text. Without them the layer is restored all the same. */
async function sbomsOf(buildpack: string, layer: RestoredLayer, input: RestoreInput): Promise<[string, string][]> {
  const { sboms } = layer
  if (sboms === null) return []
  if (sboms.kind === 'cache') return Object.entries(sboms.files)
  if (!(await isHere(sboms.diffId, layer, input))) return []
  const folder = join(input.layers.path(sboms.diffId), 'layers', 'sbom', 'launch', buildpack, layer.name)
  const names = await readdir(folder).catch(() => [])
  return Promise.all(
    names.map(async (file): Promise<[string, string]> => [file, await readFile(join(folder, file), 'utf8')]),
  )
}

/** Whether the node has the tree of a layer, which is pulled when it has not. */
async function isHere(diffId: Digest, layer: RestoredLayer, input: RestoreInput): Promise<boolean> {
  if (!input.layers.has(diffId) && input.previous !== null) {
    await input.images
      .ensureLayers(input.appId, input.previous, [diffId], input.signal)
      .catch((error: unknown) => input.logger.warn('layer-not-restored', { layer: layer.name, why: messageOf(error) }))
  }
  return input.layers.has(diffId)
}

async function treeOf(layer: RestoredLayer, input: RestoreInput): Promise<string | null> {
  const { content } = layer
  if (content === null) return null
  if (content.kind === 'cache') {
    const path = input.appCache.treePath(content.tree)
    return stat(path).then(
      () => path,
      () => null,
    )
  }
  return (await isHere(content.diffId, layer, input)) ? input.layers.path(content.diffId) : null
}
