import { compressLayer, generatedLayerTar, type LayerBlob, type LayerEntry } from '@croft/oci'

const MAX_KEPT = 200
/** What is larger is made anew each time. */
const MAX_KEPT_BYTES = 128 * 1024
/** What is made in memory is never spooled. */
const NO_SPOOL = '/dev/null/never-spooled'

export interface GeneratedLayer {
  tar: Buffer
  blob: LayerBlob
}

const kept = new Map<string, GeneratedLayer>()

/** A layer made of a few files of the lifecycle's own. An app's are the same in nearly every build, and are made once. */
export async function generatedLayer(entries: readonly LayerEntry[]): Promise<GeneratedLayer> {
  const key = JSON.stringify(entries)
  const known = kept.get(key)
  if (known !== undefined) return known
  const tar = await generatedLayerTar(entries)
  const made = { tar, blob: await compressLayer(tar, NO_SPOOL) }
  if (tar.length > MAX_KEPT_BYTES) return made
  if (kept.size >= MAX_KEPT) kept.clear()
  kept.set(key, made)
  return made
}
