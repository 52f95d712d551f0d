/** A build that waits, or runs, as far as fairness goes. */
export interface OpenBuild {
  id: string
  teamId: string
  appId: string
  createdAt: number
}

/**
 * Which queued build starts next: of the team with the fewest running builds, the one that has waited longest; of one app,
 * its newest. Undefined when nothing may start. Pure.
 */
export function nextBuild(
  queued: readonly OpenBuild[],
  running: readonly OpenBuild[],
  slots: number,
): string | undefined {
  if (running.length >= slots) return undefined
  const busyApps = new Set(running.map((build) => build.appId))
  const runningOf = (teamId: string): number => running.filter((build) => build.teamId === teamId).length
  const newestOfApp = new Map<string, OpenBuild>()
  for (const build of queued) {
    const other = newestOfApp.get(build.appId)
    if (!busyApps.has(build.appId) && (other === undefined || build.createdAt > other.createdAt)) {
      newestOfApp.set(build.appId, build)
    }
  }
  const candidates = [...newestOfApp.values()].toSorted(
    (a, b) => runningOf(a.teamId) - runningOf(b.teamId) || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1),
  )
  return candidates[0]?.id
}
