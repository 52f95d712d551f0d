import { lstatSync, opendirSync, rmdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, run } from '@croft/kit'

/** What is not gone by then is left to the next who comes by. */
export const REMOVE_TIMEOUT_MS = 10 * 60_000
/** Up to so many entries are removed here: 10 µs each, where a process for it takes 4 ms before it does anything. */
const SMALL = 200

/**
 * Removes a tree that nobody is in any more; one that is gone is fine. A large one goes to rm(1), which neither holds us up
 * nor knows a longest path: a tenant may have nested folders deeper than one can name.
 */
export async function removeTree(path: string): Promise<void> {
  if (removeSmallTree(path)) return
  await run('rm', ['-rf', '--one-file-system', '--', path], { timeoutMs: REMOVE_TIMEOUT_MS })
}

/** The same for many trees of any size, behind the back of whoever waits for this process: the file system may be slow. */
export const removeTreesCommand = (paths: readonly string[]): string[] => [
  '/bin/rm',
  '-rf',
  '--one-file-system',
  '--',
  ...paths,
]

/**
 * Removes a tree at once; false when it is not small, or something does not go. Follows no link and stays on its file system.
 */
function removeSmallTree(root: string): boolean {
  let left = SMALL
  const remove = (path: string, device: number): boolean => {
    const folder = opendirSync(path)
    try {
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        left -= 1
        if (left < 0) return false
        const child = join(path, entry.name)
        if (!entry.isDirectory()) unlinkSync(child)
        else if (lstatSync(child).dev !== device || !remove(child, device)) return false
      }
    } finally {
      folder.closeSync()
    }
    rmdirSync(path)
    return true
  }
  try {
    return remove(root, lstatSync(root).dev)
  } catch (error) {
    return errnoOf(error) === 'ENOENT' && left === SMALL // whatever else it was, rm(1) says it better
  }
}
