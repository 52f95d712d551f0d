/** The run directory of the home with index `k`. */
export function runFolder(k: number): string {
  return `/run/croft/${k}`
}
