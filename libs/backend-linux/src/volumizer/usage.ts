import { constants } from 'node:fs'
import { lstat, open, readdir, type FileHandle } from 'node:fs/promises'
import { errnoOf } from '@croft/kit'

/** A walk ends here: a container without a disk limit may hold any number of files. */
const MAX_ENTRIES = 100_000
/** Deeper folders are not counted: each level holds a descriptor. */
const MAX_DEPTH = 64
const AT_ONCE = 32

export interface Usage {
  bytes: number
  inodes: number
}

interface Walk extends Usage {
  maxEntries: number
  /** Files with several names, which count once. */
  seen: Set<number>
}

/**
 * Bytes and files below a directory, as allocated. Follows no link, also not one that somebody puts in a folder's place
 * meanwhile: each folder is opened from the one above. Counts at most `maxEntries`, 64 levels deep.
 */
export async function directoryUsage(root: string, maxEntries = MAX_ENTRIES): Promise<Usage> {
  const walk: Walk = { bytes: 0, inodes: 0, maxEntries, seen: new Set() }
  const folder = await openFolder(root)
  if (folder !== null) await visit(folder, walk, MAX_DEPTH)
  return { bytes: walk.bytes, inodes: walk.inodes }
}

async function visit(folder: FileHandle, walk: Walk, depth: number): Promise<void> {
  try {
    const path = `/proc/self/fd/${folder.fd}`
    const names = await readdir(path)
    for (let at = 0; at < names.length && walk.inodes < walk.maxEntries; at += AT_ONCE) {
      const folders = await Promise.all(
        names.slice(at, at + AT_ONCE).map(async (name) => ((await count(`${path}/${name}`, walk)) ? name : null)),
      )
      for (const name of folders) {
        if (name === null || depth === 0) continue
        const child = await openFolder(`${path}/${name}`)
        if (child !== null) await visit(child, walk, depth - 1)
      }
    }
  } finally {
    await folder.close()
  }
}

/** Counts an entry; true for a folder. */
async function count(path: string, walk: Walk): Promise<boolean> {
  try {
    const info = await lstat(path)
    if (info.nlink > 1 && !info.isDirectory()) {
      if (walk.seen.has(info.ino)) return false
      walk.seen.add(info.ino)
    }
    walk.bytes += info.blocks * 512
    walk.inodes += 1
    return info.isDirectory()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false // went away meanwhile
    throw error
  }
}

/** A folder's descriptor; null when it is none any more. */
async function openFolder(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return null
    throw error
  }
}
