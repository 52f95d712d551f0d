import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import { OciError } from './errors.js'
import { decompressor } from './unpack-layer.js'

export interface ReadLimits {
  /** Largest sum of all that is read, bytes. */
  bytes: number
  /** Most files that are wanted. */
  files: number
}

/**
 * Reads the files of a layer whose path `isWanted`, from its blob, without unpacking it anywhere.
 * @throws OciError beyond the limits; whatever a broken archive or `blob` fails with
 */
export async function readEntries(
  blob: Readable,
  mediaType: string,
  isWanted: (path: string) => boolean,
  limits: ReadLimits,
): Promise<Map<string, Buffer>> {
  const tar = extract()
  const found = new Map<string, Buffer>()
  let left = limits.bytes
  const flow = pipeline(blob, decompressor(mediaType), tar)
  flow.catch(() => undefined) // the loop below fails of it
  for await (const entry of tar) {
    const { name, type, size } = entry.header
    const path = name.replace(/^\.?\//, '')
    if (type !== 'file' || !isWanted(path)) {
      entry.resume()
      continue
    }
    left -= size
    if (left < 0 || found.size >= limits.files) throw new OciError('there is more in this layer than is read of one')
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    found.set(path, Buffer.concat(chunks))
  }
  await flow
  return found
}
