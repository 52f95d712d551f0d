import { openCgroups } from '../cgroup/open.js'
import { DEFAULT_CGROUP_ROOT } from '../options.js'

/**
 * Directories of the cgroups that a process of home `index` joins which serves its apps, by its id in their `cgroup.procs`. Builds
 * then give way to it as they do to the apps. `cleanHome` removes them with whoever is still in them.
 */
export async function servingGroups(index: number): Promise<string[]> {
  const cgroups = await openCgroups(DEFAULT_CGROUP_ROOT, index)
  return await cgroups.servingDirs()
}
