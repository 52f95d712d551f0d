/** The lines of a push: `-----> ` a step, seven spaces a detail, ` !     ` an error. ASCII. Pure. */

const TIME_COLUMN = 61

function withTime(text: string, tookMs: number | undefined): string {
  if (tookMs === undefined) return text
  return `${text.length > TIME_COLUMN - 3 ? `${text}   ` : text.padEnd(TIME_COLUMN)}${seconds(tookMs)}`
}

/** `2.1 s`, as every step ends. */
export function seconds(tookMs: number): string {
  return `${(Math.max(0, tookMs) / 1000).toFixed(1)} s`
}

export function stepLine(text: string, tookMs?: number): string {
  return `${withTime(`-----> ${text}`, tookMs)}\n`
}

export function detailLine(text: string, tookMs?: number): string {
  return `${withTime(`       ${text}`, tookMs)}\n`
}

export function warningLine(text: string): string {
  return ` !     ${text}\n`
}

/** A size as people read it: `812 B`, `41 kB`, `1.2 MB`. */
export function humanBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1_000_000) return `${Math.round(bytes / 1000)} kB`
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`
  return `${(bytes / 1_000_000_000).toFixed(1)} GB`
}
