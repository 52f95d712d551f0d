import { compressLayer, digestOf, generatedLayerTar, type LayerBlob, type LayerEntry } from '@croft/oci'

const MAX_KEPT = 200
/** What is larger is made anew each time. */
const MAX_KEPT_BYTES = 128 * 1024

export interface GeneratedLayer {
  tar: Buffer
  blob: LayerBlob
}

/** By the digest of what they are made of. */
const kept = new Map<string, GeneratedLayer>()

/**
 * A layer made of a few files of the lifecycle's own. An app's are the same in nearly every build, and are made once. A large blob (of
 * bills of materials) is spooled to `spoolPath`, which the caller removes.
 */
export async function generatedLayer(entries: readonly LayerEntry[], spoolPath: string): Promise<GeneratedLayer> {
  const key = digestOf(Buffer.from(JSON.stringify(entries)))
  const known = kept.get(key)
  if (known !== undefined) return known
  const tar = await generatedLayerTar(entries)
  const made = { tar, blob: await compressLayer(tar, spoolPath) }
  if (tar.length > MAX_KEPT_BYTES) return made
  if (kept.size >= MAX_KEPT) kept.clear()
  kept.set(key, made)
  return made
}
