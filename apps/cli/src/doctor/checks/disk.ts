import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Check, Finding } from '../check.js'

const MIB = 1024 * 1024
/** Less than this and a platform is not started: PostgreSQL and builds would fail in the middle. */
const NEEDED_BYTES = 1024 * MIB
const COMFORTABLE_BYTES = 5 * 1024 * MIB
const NEEDED_FILES = 50_000

/** Room on the disks of the home and of the cache. */
export const disk: Check = {
  name: 'disk',
  phase: 'host',
  async run({ home, cache }): Promise<Finding> {
    const seen: string[] = []
    for (const path of [home, cache]) {
      let folder = path
      while (!existsSync(folder)) folder = dirname(folder)
      const { bavail, bsize, ffree, files } = await statfs(folder)
      const free = bavail * bsize
      const text = `${Math.floor(free / MIB)} MiB free for ${path}`
      if (free < NEEDED_BYTES) {
        return {
          status: 'failed',
          detail: `the disk is nearly full: ${text}, ${NEEDED_BYTES / MIB} MiB needed`,
          remedy: `free some space, or choose another disk with ${path === home ? '--home' : 'CROFT_CACHE'}`,
        }
      }
      if (files > 0 && ffree < NEEDED_FILES) {
        return {
          status: 'failed',
          detail: `the file system of ${path} has only ${ffree} free inodes, ${NEEDED_FILES} needed`,
          remedy: 'remove small files, or choose another disk',
        }
      }
      if (free < COMFORTABLE_BYTES)
        return { status: 'warning', detail: text, remedy: 'images and build caches want 5 GiB or more' }
      seen.push(text)
    }
    return { status: 'ok', detail: seen.join(', ') }
  },
}
