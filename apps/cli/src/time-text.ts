/** A point in time as people say it: `12 s ago`, `3 min ago`, `5 h ago`, then the date. Pure. */
export function ago(iso: string | null, nowMs: number): string {
  if (iso === null) return ''
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(iso)) / 1000))
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  return iso.slice(0, 10)
}

/** Bytes in MiB without a fraction. Pure. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
