import { readFile } from 'node:fs/promises'
import type { Check, Finding } from '../check.js'

const NEEDED_V1 = ['cpu', 'memory', 'pids', 'devices', 'freezer']
const NEEDED_V2 = ['cpu', 'memory', 'pids']

/** What a mount table offers for limits: the hierarchy's version and the controllers that are missing. Pure. */
export function judgeCgroups(mounts: string, v2Controllers: string): { version: 1 | 2; missing: string[] } {
  const lines = mounts.split('\n').map((line) => line.split(' '))
  const v1 = new Set(lines.flatMap(([, , type, options]) => (type === 'cgroup' ? (options ?? '').split(',') : [])))
  if (v1.has('memory')) return { version: 1, missing: NEEDED_V1.filter((name) => !v1.has(name)) }
  const have = new Set(v2Controllers.trim().split(/\s+/))
  return { version: 2, missing: NEEDED_V2.filter((name) => !have.has(name)) }
}

/** Memory, CPU and process limits: cgroup v1, hybrid or v2. */
export const cgroups: Check = {
  name: 'cgroups',
  phase: 'host',
  async run(): Promise<Finding> {
    const v2 = await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8').catch(() => '')
    const { version, missing } = judgeCgroups(await readFile('/proc/mounts', 'utf8'), v2)
    return missing.length === 0
      ? { status: 'ok', detail: `cgroup v${version}` }
      : {
          status: 'failed',
          detail: `cgroup v${version} lacks ${missing.join(', ')}`,
          remedy: `boot with cgroup_enable=${missing[0]} on the kernel's command line`,
        }
  },
}
