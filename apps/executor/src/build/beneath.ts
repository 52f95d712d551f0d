import { constants } from 'node:fs'
import { open, readdir, type FileHandle } from 'node:fs/promises'
import { errnoOf } from '@croft/kit'

/**
 * Reads below a folder that a build may be writing to. No symbolic link is followed anywhere below `root`, whatever happens
 * meanwhile: every step is opened relative to the one before.
 */

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants

async function openFolder(root: string, parts: readonly string[]): Promise<FileHandle | null> {
  let folder = await open(root, O_RDONLY | O_DIRECTORY)
  for (const part of parts) {
    try {
      const next = await open(`/proc/self/fd/${folder.fd}/${part}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      await folder.close()
      folder = next
    } catch (error) {
      await folder.close()
      if (isNotThere(error)) return null
      throw error
    }
  }
  return folder
}

function isNotThere(error: unknown): boolean {
  const code = errnoOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO'
}

export interface FolderEntry {
  name: string
  isDirectory: boolean
  isFile: boolean
  /** By which an overlay's upper layer says that it is no more. */
  isWhiteout: boolean
}

/** What lies in a folder, or null when there is no such folder. */
export async function listBeneath(root: string, parts: readonly string[]): Promise<FolderEntry[] | null> {
  const folder = await openFolder(root, parts)
  if (folder === null) return null
  try {
    const entries = await readdir(`/proc/self/fd/${folder.fd}`, { withFileTypes: true })
    return entries.map((entry) => ({
      name: entry.name,
      isDirectory: entry.isDirectory(),
      isFile: entry.isFile(),
      isWhiteout: entry.isCharacterDevice(),
    }))
  } finally {
    await folder.close()
  }
}

/** Whether there may be something of that path, which ends at a link as if it led to everything. `false` is certain. */
export async function mayBeBeneath(root: string, path: string): Promise<boolean> {
  const parts = path.split('/')
  for (const [depth, part] of parts.entries()) {
    const found = (await listBeneath(root, parts.slice(0, depth)))?.find(({ name }) => name === part)
    if (found === undefined) return false
    if (!found.isDirectory) return true
  }
  return true
}

/** An ordinary file, opened for reading, or undefined when there is none of that name. The caller closes it. */
export async function openBeneath(root: string, parts: readonly string[]): Promise<FileHandle | undefined> {
  const folder = await openFolder(root, parts.slice(0, -1))
  if (folder === null) return undefined
  try {
    const path = `/proc/self/fd/${folder.fd}/${parts.at(-1) ?? ''}`
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    if ((await file.stat()).isFile()) return file
    await file.close()
    return undefined
  } catch (error) {
    if (isNotThere(error)) return undefined
    throw error
  } finally {
    await folder.close()
  }
}

/** The text of an ordinary file, or undefined when there is none of that name. @throws RangeError when it is too large */
export async function readBeneath(
  root: string,
  parts: readonly string[],
  maxBytes: number,
): Promise<string | undefined> {
  const file = await openBeneath(root, parts)
  if (file === undefined) return undefined
  try {
    const { size } = await file.stat()
    if (size > maxBytes) throw new RangeError(`${parts.at(-1)} is larger than ${maxBytes} bytes`)
    const buffer = Buffer.alloc(size)
    const { bytesRead } = await file.read(buffer, 0, size, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
