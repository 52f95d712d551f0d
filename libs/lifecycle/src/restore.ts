import type { Digest } from '@croft/kit'
import type { LayerTypes } from './formats/layer-toml.js'
import type { LifecycleLabel } from './formats/lifecycle-label.js'
import type { Store } from './formats/store-toml.js'

/** A layer kept for builds only; never part of an image. */
export interface CachedLayer {
  types: LayerTypes
  metadata: Record<string, unknown> | undefined
  /** Names its tree in the cache. */
  tree: string
  /** Its bills of materials, `sbom.<ext>` to text. */
  sboms?: Record<string, string> | undefined
}

/** What a node keeps of an app between builds: buildpack id → layer name → layer. */
export type BuildCache = Record<string, Record<string, CachedLayer>>

export interface RestoredLayer {
  name: string
  metadata: Record<string, unknown> | undefined
  /** Where its content is, or null when only its file comes back (the layer may then be reused by digest). */
  content: { kind: 'image'; diffId: Digest } | { kind: 'cache'; tree: string } | null
  /** Its digest in the former image, for reuse. */
  diffId: Digest | null
  /** Where its bills of materials are, or null when there are none. */
  sboms: { kind: 'image'; diffId: Digest } | { kind: 'cache'; files: Record<string, string> } | null
}

export interface RestoredBuildpack {
  id: string
  layers: RestoredLayer[]
  store: Store | undefined
}

/**
 * What the buildpacks of a group get back from the former image and the cache. A launch layer without `cache` comes back as its
 * file only; one with `build` and without `cache` not at all; a cached one with its content. Pure.
 */
export function planRestore(
  group: readonly { id: string }[],
  label: LifecycleLabel | null,
  cache: BuildCache,
): RestoredBuildpack[] {
  return group.map(({ id }) => {
    const former = label?.buildpacks.find(({ key }) => key === id)
    const fromImage = Object.entries(former?.layers ?? {}).flatMap(([name, layer]): RestoredLayer[] => {
      if (!layer.launch || layer.sha === undefined || (layer.build && !layer.cache)) return []
      const content = layer.cache ? ({ kind: 'image', diffId: layer.sha } as const) : null
      const sboms = label?.sbom === undefined ? null : ({ kind: 'image', diffId: label.sbom.sha } as const)
      return [{ name, metadata: layer.data, content, diffId: layer.sha, sboms }]
    })
    const inImage = new Set(fromImage.map(({ name }) => name))
    const fromCache = Object.entries(cache[id] ?? {}).flatMap(([name, layer]): RestoredLayer[] => {
      if (!layer.types.cache || layer.types.launch || inImage.has(name)) return []
      const sboms = layer.sboms === undefined ? null : ({ kind: 'cache', files: layer.sboms } as const)
      return [{ name, metadata: layer.metadata, content: { kind: 'cache', tree: layer.tree }, diffId: null, sboms }]
    })
    return { id, layers: [...fromImage, ...fromCache], store: former?.store?.metadata }
  })
}
