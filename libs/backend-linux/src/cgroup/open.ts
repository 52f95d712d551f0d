import { readFile } from 'node:fs/promises'
import { ServiceUnavailableError } from '@croft/garden-api'
import type { Cgroups } from './cgroups.js'
import { CgroupsV1 } from './cgroups-v1.js'
import { CgroupsV2 } from './cgroups-v2.js'
import { detectCgroups, type CgroupLayout } from './detect.js'

/**
 * @param diskFolder where containers lie: what I/O limits are about; without it there are none
 * @throws ServiceUnavailableError when no usable cgroups are mounted
 */
export async function openCgroups(root: string, index: number, diskFolder?: string): Promise<Cgroups> {
  const layout = await readLayout()
  const home = `${root}/${index}`
  if (layout.version === 2) return await CgroupsV2.open(layout.root, home, diskFolder)
  return await CgroupsV1.open(layout, home, diskFolder)
}

export async function readLayout(): Promise<CgroupLayout> {
  const layout = detectCgroups(await readFile('/proc/self/mountinfo', 'utf8'))
  if (layout === null) throw new ServiceUnavailableError('no cgroups with memory and pids controllers are mounted')
  return layout
}
