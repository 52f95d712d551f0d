import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { exists, readOr } from './files.js'
import { ioControlOf, mountSource, NO_IO_CONTROL, type IoControl } from './io.js'

/** `major:minor` of a device number as stat(2) gives it. */
export function deviceName(device: number): string {
  const minor = (device & 0xff) | (Math.floor(device / 4096) & 0xfff00)
  return `${Math.floor(device / 256) & 0xfff}:${minor}`
}

/** The whole disk a path lies on, as `major:minor` and its folder below /sys; null for a file system without one. */
async function diskOf(path: string): Promise<{ device: string; folder: string } | null> {
  const own = deviceName((await stat(path)).dev)
  const source = mountSource(await readFile('/proc/self/mountinfo', 'utf8'), own)
  let device = own
  if (!(await exists(join('/sys/dev/block', own)))) {
    /* btrfs and the like make up a number; their mount names the disk */
    if (source === null || !(await exists(source))) return null
    device = deviceName((await stat(source)).rdev)
    if (!(await exists(join('/sys/dev/block', device)))) return null
  }
  const folder = await realpath(join('/sys/dev/block', device))
  const whole = (await exists(join(folder, 'partition'))) ? dirname(folder) : folder
  return { device: (await readFile(join(whole, 'dev'), 'utf8')).trim(), folder: whole }
}

/**
 * What the kernel offers for the disk a folder lies on.
 * @param root where cgroups are mounted, of version 1 the blkio hierarchy
 * @param dir a cgroup below it
 */
export async function probeIo(version: 1 | 2, root: string, dir: string, folder: string): Promise<IoControl> {
  const disk = await diskOf(folder)
  if (disk === null) return NO_IO_CONTROL
  return ioControlOf({
    version,
    disk: disk.device,
    scheduler: await readOr(join(disk.folder, 'queue/scheduler'), ''),
    files: new Set(await readdir(dir)),
    qos: version === 2 ? await readOr(join(root, 'io.cost.qos'), '') : '',
  })
}
