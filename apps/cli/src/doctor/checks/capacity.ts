import { readFile } from 'node:fs/promises'
import type { Check, Finding } from '../check.js'

/** Containers of a full home. */
const CONTAINERS = 512

/**
 * What 512 containers take of each setting; a host may give less and never have so many. Shims, first processes and some 40 of
 * each app; two entries of the neighbour table for each link; two mount namespaces; inotify instances are counted for all
 * containers together, as those of root who made their user namespaces.
 */
const WANTED: readonly (readonly [setting: string, least: number])[] = [
  ['kernel.pid_max', 32_768],
  ['fs.inotify.max_user_instances', 4 * CONTAINERS],
  ['net.ipv4.neigh.default.gc_thresh3', 4 * CONTAINERS],
  ['user.max_net_namespaces', 2 * CONTAINERS],
  ['user.max_user_namespaces', 2 * CONTAINERS],
  ['user.max_mnt_namespaces', 4 * CONTAINERS],
]
/** Open files of one process: the executor holds up to 8 for each container. */
const WANTED_FILES = 8 * CONTAINERS

export interface CapacityFacts {
  /** Values by the name sysctl(8) gives them; one the kernel lacks is absent. */
  settings: ReadonlyMap<string, number>
  /** The hard limit of open files; Infinity when there is none. */
  maxOpenFiles: number
}

/** Whether the host's limits hold a full home, and what to raise. Pure. */
export function judgeCapacity({ settings, maxOpenFiles }: CapacityFacts): Finding {
  const small = WANTED.filter(([name, least]) => (settings.get(name) ?? Infinity) < least)
  const details = small.map(([name]) => `${name} is ${settings.get(name)}`)
  const remedies = small.length === 0 ? [] : [`sysctl -w ${small.map(([name, least]) => `${name}=${least}`).join(' ')}`]
  if (maxOpenFiles < WANTED_FILES) {
    details.push(`a process may open ${maxOpenFiles} files`)
    remedies.push(`ulimit -Hn ${WANTED_FILES} (LimitNOFILE= of a systemd unit)`)
  }
  if (details.length === 0) return { status: 'ok', detail: `room for ${CONTAINERS} containers` }
  return {
    status: 'warning',
    detail: `too little for ${CONTAINERS} containers: ${details.join(', ')}`,
    remedy: remedies.join(' && '),
  }
}

/** Limits of the kernel that many containers reach. Only doctor tells: a platform starts without. */
export const capacity: Check = {
  name: 'capacity',
  phase: 'advice',
  async run(): Promise<Finding> {
    const settings = new Map<string, number>()
    for (const [name] of WANTED) {
      const text = await readFile(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').catch(() => null)
      if (text !== null) settings.set(name, Number(text))
    }
    const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(await readFile('/proc/self/limits', 'utf8'))?.[1]
    return judgeCapacity({ settings, maxOpenFiles: hard === 'unlimited' ? Infinity : Number(hard) })
  },
}
