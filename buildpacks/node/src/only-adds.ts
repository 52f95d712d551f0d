/** What of a package in a lock file decides what lies in its folder. */
const DECIDES = ['version', 'resolved', 'integrity', 'inBundle'] as const

/**
 * Whether a lock file of npm asks for everything that is installed, as it is installed, and perhaps for more. `installed` is the
 * lock file that npm leaves in node_modules. A package with scripts of its own, or one that is a link, is never taken for what a new
 * install would make. Pure.
 */
export function onlyAdds(installed: string, wanted: string): boolean {
  const [before, after] = [packagesOf(installed), packagesOf(wanted)]
  if (before === null || after === null || before.size === 0) return false
  const isPlain = (entry: Record<string, unknown>): boolean =>
    entry['hasInstallScript'] === undefined && entry['link'] === undefined
  for (const [place, entry] of before) {
    const next = after.get(place)
    if (next === undefined || next['dev'] === true || !isPlain(entry)) return false
    if (DECIDES.some((field) => entry[field] !== next[field])) return false
  }
  return [...after.values()].every(isPlain)
}

/** Whether two lock files say the same, whatever their spacing. Pure. */
export function isSameLock(one: string, other: string): boolean {
  try {
    return JSON.stringify(JSON.parse(one)) === JSON.stringify(JSON.parse(other))
  } catch {
    return false
  }
}

/** Packages by their places (`node_modules/ms`), without the app itself; null where it is no lock file of a version that has them. */
function packagesOf(lock: string): Map<string, Record<string, unknown>> | null {
  try {
    const { lockfileVersion, packages } = JSON.parse(lock) as Record<string, unknown>
    if (lockfileVersion !== 3 || typeof packages !== 'object' || packages === null) return null
    const entries = Object.entries(packages as Record<string, unknown>).filter(([place]) => place !== '')
    const isSound = entries.every(([, entry]) => typeof entry === 'object' && entry !== null)
    return isSound ? new Map(entries as [string, Record<string, unknown>][]) : null
  } catch {
    return null
  }
}
