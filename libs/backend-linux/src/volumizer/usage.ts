import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync } from 'node:fs'
import { lstat, open, readdir, type FileHandle } from 'node:fs/promises'
import { errnoOf } from '@croft/kit'

/** A walk ends here: a container without a disk limit may hold any number of files. */
const MAX_ENTRIES = 100_000
/** Deeper folders are not counted: each level holds a descriptor. */
const MAX_DEPTH = 64
const AT_ONCE = 32
/** A tree of no more is small. */
const SMALL_ENTRIES = 48
/** A folder of more may list thousands. */
const SMALL_FOLDER_BYTES = 16_384

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

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

/** The same at once, for a tree of a few files, some microseconds each; null for a bigger one. */
export function smallUsage(root: string): Usage | null {
  const usage: Usage = { bytes: 0, inodes: 0 }
  try {
    return addSmall(root, usage) ? usage : null
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return null // it changes: a walk will tell
    throw error
  }
}

/** Adds what lies below a folder; false when that is too much. */
function addSmall(path: string, usage: Usage): boolean {
  const fd = openSync(path, FOLDER_FLAGS)
  try {
    const here = `/proc/self/fd/${fd}`
    if (fstatSync(fd).size > SMALL_FOLDER_BYTES) return false
    for (const name of readdirSync(here)) {
      const info = lstatSync(`${here}/${name}`)
      usage.bytes += info.blocks * 512
      usage.inodes += 1
      /* a file of several names may be one that was counted */
      if (usage.inodes > SMALL_ENTRIES || (info.nlink > 1 && !info.isDirectory())) return false
      if (info.isDirectory() && !addSmall(`${here}/${name}`, usage)) return false
    }
  } finally {
    closeSync(fd)
  }
  return true
}

/** A folder's descriptor; null when it is none any more. */
async function openFolder(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, FOLDER_FLAGS)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return null
    throw error
  }
}
