import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { CgroupLayout } from './detect.js'
import { readOr, writeIfThere } from './files.js'
import { DEFAULT_SHARES, DEFAULT_WEIGHT, MAX_SHARES, MAX_WEIGHT } from './limits.js'

/** On each processor all containers weigh what so many of the host's own processes do. */
const PROCESSES_PER_CORE = 2

/**
 * Says what the containers of a host together, those of all its homes, weigh beside everything else that runs there. The kernel would
 * let them weigh as much as a single process, and its processors divide even that. A number that an operator set stays.
 * @param root the cgroup of all homes
 */
export async function weighContainers(layout: CgroupLayout, root: string, cores: number): Promise<void> {
  const [mount, file, byDefault, most] =
    layout.version === 1
      ? ([layout.mounts.get('cpu'), 'cpu.shares', DEFAULT_SHARES, MAX_SHARES] as const)
      : ([layout.root, 'cpu.weight', DEFAULT_WEIGHT, MAX_WEIGHT] as const)
  if (mount === undefined) return
  const dir = join(mount, root)
  await mkdir(dir, { recursive: true })
  const present = (await readOr(join(dir, file), '')).trim()
  if (present !== String(byDefault)) return
  await writeIfThere(join(dir, file), String(Math.min(most, byDefault * PROCESSES_PER_CORE * cores)))
}
