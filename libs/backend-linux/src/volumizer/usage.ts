import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'

/** A walk ends here: a container without a disk limit may hold any number of files. */
const MAX_ENTRIES = 100_000

export interface Usage {
  bytes: number
  inodes: number
}

/** Bytes and files below a directory, as allocated; follows no link. Counts at most `maxEntries`. */
export async function directoryUsage(root: string, maxEntries = MAX_ENTRIES): Promise<Usage> {
  const usage: Usage = { bytes: 0, inodes: 0 }
  const waiting = [root]
  while (usage.inodes < maxEntries) {
    const path = waiting.pop()
    if (path === undefined) break
    try {
      for await (const entry of await opendir(path)) {
        const child = join(path, entry.name)
        const info = await lstat(child)
        usage.bytes += info.blocks * 512
        usage.inodes += 1
        if (info.isDirectory()) waiting.push(child)
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error // went away meanwhile
    }
  }
  return usage
}
