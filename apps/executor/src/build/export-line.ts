import { humanBytes } from '@croft/lifecycle'

/** The line that tells which image was made, and how much of it is new. Pure. */
export function exportLine(made: { image: string; newLayers: number; newBytes: number }): string {
  const short = `${made.image.slice(0, 'sha256:'.length + 4)}...`
  const layers = made.newLayers === 1 ? '1 new layer' : `${made.newLayers} new layers`
  return made.newLayers === 0
    ? `Exporting image ${short} (nothing new)`
    : `Exporting image ${short} (${layers}, ${humanBytes(made.newBytes)})`
}
