/** Where cgroups are mounted. Pure: reads the text of /proc/self/mountinfo. */
export type CgroupLayout =
  | {
      version: 1
      /** controller name, or `name=systemd`, to mount point */ mounts: ReadonlyMap<string, string>
      unified: string | null
    }
  | { version: 2; root: string }

const V1_CONTROLLERS = [
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'net_cls',
  'net_prio',
  'perf_event',
  'hugetlb',
  'rdma',
  'misc',
  'name=systemd',
]

/** The layout, or null when no cgroups are mounted that Croft can use. A memory controller decides the version. */
export function detectCgroups(mountinfo: string): CgroupLayout | null {
  const mounts = new Map<string, string>()
  let unified: string | null = null
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ')
    if (before === undefined || after === undefined) continue
    const mountPoint = before.split(' ')[4]
    const [type, , superOptions] = after.split(' ')
    if (mountPoint === undefined) continue
    if (type === 'cgroup2') unified ??= mountPoint
    if (type !== 'cgroup') continue
    for (const option of (superOptions ?? '').split(',')) {
      if (V1_CONTROLLERS.includes(option) && !mounts.has(option)) mounts.set(option, mountPoint)
    }
  }
  if (mounts.has('memory') && mounts.has('pids')) return { version: 1, mounts, unified }
  return unified === null ? null : { version: 2, root: unified }
}
