import { mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CroftError, errnoOf } from '@croft/kit'
import { readLayout } from '../cgroup/open.js'
import type { CgroupLayout } from '../cgroup/detect.js'
import { DEFAULT_CGROUP_ROOT } from '../options.js'

export const MAX_HOME_INDEX = 63

/** All 64 indices of this kernel are taken. */
export class NoFreeIndexError extends CroftError {
  constructor(where: string) {
    super({
      code: 'no-free-index',
      status: 503,
      title: `all ${MAX_HOME_INDEX + 1} indices for platforms on this host are taken`,
      detail: `every directory of ${where} belongs to a home`,
      suggestion: 'Stop a platform with `croft down`, or reboot when none is left that owns them',
    })
  }
}

/** Where reservations lie: seen from every chroot and network namespace of this kernel, gone at reboot. */
async function reservationDir(): Promise<string> {
  return join(reservationMount(await readLayout()), DEFAULT_CGROUP_ROOT)
}

function reservationMount(layout: CgroupLayout): string {
  return (layout.version === 1 ? layout.mounts.get('pids') : layout.root) ?? '/sys/fs/cgroup'
}

/** Removes the cgroup above all homes, in every hierarchy, once no home is reserved any more. */
async function removeEmptyRoot(): Promise<void> {
  const layout = await readLayout()
  const first = reservationMount(layout)
  if (!(await isRemoved(join(first, DEFAULT_CGROUP_ROOT)))) return
  const others = layout.version === 1 ? [...layout.mounts.values(), layout.unified ?? first] : []
  for (const mount of new Set(others)) await isRemoved(join(mount, DEFAULT_CGROUP_ROOT))
}

/** Removes an empty cgroup; false when somebody is in it, or took it away before us. */
async function isRemoved(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    if (['ENOTEMPTY', 'EBUSY', 'ENOENT'].includes(errnoOf(error) ?? '')) return false
    throw error
  }
}

export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** The index the home recorded under this boot, or null. */
async function recorded(home: string, bootId: string): Promise<number | null> {
  try {
    const [index, boot] = (await readFile(join(home, 'k'), 'utf8')).trim().split(' ')
    return boot === bootId && /^\d{1,2}$/.test(index ?? '') && Number(index) <= MAX_HOME_INDEX ? Number(index) : null
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}

/** Makes a directory that must not have been there; false when it was. */
async function claim(path: string): Promise<boolean> {
  try {
    await mkdir(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    if (errnoOf(error) !== 'ENOENT') throw error
    await mkdir(dirname(path), { recursive: true }) // the last other home has just left and taken it along
    return await claim(path)
  }
}

/**
 * Reserves the home's index k by making the cgroup `/croft/<k>`, or takes up the one it has under this boot.
 * `<home>/k` records it as `<k> <boot id>`.
 * @throws NoFreeIndexError
 */
export async function reserveHomeIndex(home: string): Promise<number> {
  const [dir, bootId] = await Promise.all([reservationDir(), readBootId()])
  await mkdir(dir, { recursive: true })
  const known = await recorded(home, bootId)
  if (known !== null) {
    await mkdir(join(dir, String(known)), { recursive: true })
    return known
  }
  for (let index = 0; index <= MAX_HOME_INDEX; index++) {
    if (!(await claim(join(dir, String(index))))) continue
    const file = join(home, 'k')
    await writeFile(`${file}.new`, `${index} ${bootId}\n`, { flush: true })
    await rename(`${file}.new`, file)
    return index
  }
  throw new NoFreeIndexError(dir)
}

/** Gives the index back. Everything that bears it must be gone (`cleanHome`); a cgroup still in use keeps it reserved. */
export async function releaseHomeIndex(home: string): Promise<void> {
  const index = await recorded(home, await readBootId())
  if (index === null) return
  try {
    await rmdir(join(await reservationDir(), String(index)))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  await removeEmptyRoot()
  await rm(join(home, 'k'), { force: true })
}
