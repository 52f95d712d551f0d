import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What Sprockets writes as the date of a file that has none. */
const NO_DATE = '1980-01-01T00:00:01+00:00'
const MANIFEST = /^\.sprockets-manifest-[0-9a-f]{32}\.json$/

/**
 * Takes the moment and the chance out of what Sprockets made, so that the same source gives the same image: the dates in its
 * manifest and in compressed files, and the random name of the manifest, which becomes that of its content.
 */
export function settleAssets(folder: string): void {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }).filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name)
    if (MANIFEST.test(entry.name)) {
      const text = settledManifest(readFileSync(path, 'utf8'))
      const name = createHash('sha256').update(text).digest('hex').slice(0, 32)
      writeFileSync(path, text)
      renameSync(path, join(entry.parentPath, `.sprockets-manifest-${name}.json`))
    } else if (entry.name.endsWith('.gz')) {
      writeFileSync(path, settledGzip(readFileSync(path)))
    }
  }
}

/** The manifest with one date for all files. */
export function settledManifest(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text, (key, value: unknown) => (key === 'mtime' ? NO_DATE : value)))
  } catch {
    return text // it is the app's own affair
  }
}

/** The same bytes without the date in their header. */
export function settledGzip(bytes: Buffer): Buffer {
  if (bytes.length < 10 || bytes.readUInt16BE(0) !== 0x1f8b) return bytes
  const settled = Buffer.from(bytes)
  settled.writeUInt32LE(0, 4)
  return settled
}
