/** A build that waits, or runs, as far as fairness goes. */
export interface OpenBuild {
  id: string
  teamId: string
  appId: string
  createdAt: number
}

/**
 * Which queued build starts next: of the team with the fewest running builds, and among those the one whose last build started
 * longest ago, the one that has waited longest; of one app, its newest. So teams take turns, however many builds each has in the
 * queue and however few may run. Undefined when nothing may start. Pure.
 * @param lastStarts when a build of each team last started, ms
 */
export function nextBuild(
  queued: readonly OpenBuild[],
  running: readonly OpenBuild[],
  slots: number,
  lastStarts: ReadonlyMap<string, number> = new Map(),
): string | undefined {
  if (running.length >= slots) return undefined
  const busyApps = new Set(running.map((build) => build.appId))
  const runningOf = (teamId: string): number => running.filter((build) => build.teamId === teamId).length
  const startOf = (teamId: string): number => lastStarts.get(teamId) ?? 0
  const newestOfApp = new Map<string, OpenBuild>()
  for (const build of queued) {
    const other = newestOfApp.get(build.appId)
    if (!busyApps.has(build.appId) && (other === undefined || build.createdAt > other.createdAt)) {
      newestOfApp.set(build.appId, build)
    }
  }
  const candidates = [...newestOfApp.values()].toSorted(
    (a, b) =>
      runningOf(a.teamId) - runningOf(b.teamId) ||
      startOf(a.teamId) - startOf(b.teamId) ||
      a.createdAt - b.createdAt ||
      (a.id < b.id ? -1 : 1),
  )
  return candidates[0]?.id
}
