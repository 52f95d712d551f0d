import type { LaunchProcess } from './formats/launch-toml.js'

/**
 * The processes of an image from those of its buildpacks in build order: of one type the later one counts; the default is the
 * last one marked, and a later process of that type that is not marked takes the mark away. Pure.
 */
export function mergeProcesses(lists: readonly (readonly LaunchProcess[])[]): LaunchProcess[] {
  const byType = new Map<string, LaunchProcess>()
  let defaultType: string | null = null
  for (const process of lists.flat()) {
    if (process.isDefault) defaultType = process.type
    else if (process.type === defaultType) defaultType = null
    byType.set(process.type, process)
  }
  return [...byType.values()].map((process) => ({ ...process, isDefault: process.type === defaultType }))
}

/** Labels in build order: of one key the last one counts. Pure. */
export function mergeLabels(lists: readonly (readonly { key: string; value: string }[])[]): Record<string, string> {
  return Object.fromEntries(lists.flat().map(({ key, value }) => [key, value]))
}
