import { closeSync, openSync, readdirSync, readFileSync, readSync, type Dirent } from 'node:fs'
import { access, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, waitFor } from '@croft/kit'

const REMOVE_TIMEOUT_MS = 10_000
const FREEZE_TIMEOUT_MS = 5_000
const MAX_FILE_BYTES = 65_536

const buffer = Buffer.alloc(MAX_FILE_BYTES)

/**
 * A cgroup file's text, read at once: it comes out of the kernel's memory in some microseconds, where a turn through the
 * thread pool for each of its three system calls costs more than a millisecond for the dozen files of one container.
 */
export function readNow(path: string): string {
  const fd = openSync(path, 'r')
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, MAX_FILE_BYTES, null))
  } finally {
    closeSync(fd)
  }
}

const isGone = (error: unknown): boolean => errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV'

/** The text, or the fallback when the cgroup or the file is not there. */
export function readNowOr(path: string, fallback: string): string {
  try {
    return readNow(path)
  } catch (error) {
    if (isGone(error)) return fallback
    throw error
  }
}

export async function readOr(path: string, fallback: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isGone(error)) return fallback
    throw error
  }
}

/** Writes unless the cgroup is gone. */
export async function writeIfThere(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

/** Makes an idle group none, and answers with what makes it idle again; `file` is its `cpu.idle`. */
export async function hurryGroup(file: string): Promise<() => Promise<void>> {
  if ((await readOr(file, '0')).trim() !== '1') return () => Promise.resolve()
  await writeIfThere(file, '0')
  return async () => await writeIfThere(file, '1')
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

/** Names of the cgroups right below one. */
export async function children(path: string): Promise<string[]> {
  try {
    return foldersOf(await readdir(path, { withFileTypes: true }))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

/**
 * The process ids in a cgroup, by its `cgroup.procs`; none when the cgroup is gone. Read at once, whole. Version 2 names a process that
 * is just being released 0, which to kill(2) is the whole process group of the caller: such a one is not among them.
 */
export function processesIn(dir: string): number[] {
  try {
    const text = readFileSync(join(dir, 'cgroup.procs'), 'utf8')
    return text.split('\n').flatMap((line) => (Number(line) > 0 ? [Number(line)] : []))
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

/** The process ids in the cgroups right below one. */
export function processesBelow(dir: string): number[] {
  try {
    return foldersOf(readdirSync(dir, { withFileTypes: true })).flatMap((child) => processesIn(join(dir, child)))
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

const foldersOf = (entries: readonly Dirent[]): string[] =>
  entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)

/** Removes a cgroup and what is below it, waiting for processes that are on their way out. */
export async function removeTree(path: string): Promise<void> {
  for (const child of await children(path)) await removeTree(join(path, child))
  await waitFor(async () => await isRemoved(path), {
    what: `${path} to be empty`,
    timeoutMs: REMOVE_TIMEOUT_MS,
    everyMs: 2,
  })
}

/** The same for a cgroup that most likely has one child of this name and nobody in it: looks only when that is not so. */
export async function removePair(path: string, child: string): Promise<void> {
  if (!(await isRemoved(join(path, child))) || !(await isRemoved(path))) await removeTree(path)
}

/** False while a process or a child is in it. */
async function isRemoved(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true
    if (errnoOf(error) === 'EBUSY') return false
    throw error
  }
}

/** Waits until a file says that a cgroup stands still; one that is gone does. */
export async function waitUntilFrozen(isFrozen: () => Promise<boolean>, name: string): Promise<void> {
  await waitFor(isFrozen, { what: `${name} to freeze`, timeoutMs: FREEZE_TIMEOUT_MS, everyMs: 1 })
}
