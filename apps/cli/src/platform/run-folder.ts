/** What lasts until the next start of the host; containers find their mounts below it, whoever makes it first. */
export const RUN_ROOT = '/run/croft'

/** The run directory of the home with index `k`. */
export function runFolder(k: number): string {
  return `${RUN_ROOT}/${k}`
}
