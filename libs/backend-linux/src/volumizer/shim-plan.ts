import type { BindMount } from '@croft/garden-api'
import { runcId } from '../home/naming.js'
import { HIGH_EXTENT } from '../options.js'
import { bindNumber } from '../containerizer/bundle.js'

/** What a shim is started with. Pure: the order and spelling of `croft-init shim …`. */
export interface ShimPlan {
  handle: string
  folder: string
  socketPath: string
  stageDir: string
  uidBase: number
  logBytes: number
  oomFile: string
  runcPath: string
  runcRoot: string
  cgroupDirs: readonly string[]
  /** An ext4 image for what the container writes; null: the folder's own file system. */
  diskImage: string | null
  /** Image layers, uppermost first. */
  lowerPaths: readonly string[]
  /** Sources of the platform's binds, in the order of PLATFORM_BINDS. */
  platformFiles: readonly string[]
  bindMounts: readonly BindMount[]
}

function bindArgs(mount: BindMount, index: number): string[] {
  const number = String(bindNumber(index))
  if (mount.lowerPaths !== undefined && mount.workPath !== undefined) {
    return ['over', number, mount.srcPath, mount.workPath, String(mount.lowerPaths.length), ...mount.lowerPaths]
  }
  return ['bind', number, mount.mode, mount.isIdmapped === true ? 'idmap' : 'plain', mount.srcPath]
}

export function shimArgs(plan: ShimPlan): string[] {
  return [
    'shim',
    plan.folder,
    plan.socketPath,
    plan.stageDir,
    String(plan.uidBase),
    String(HIGH_EXTENT.hostId),
    String(HIGH_EXTENT.size),
    String(plan.logBytes),
    plan.oomFile,
    plan.runcPath,
    plan.runcRoot,
    runcId(plan.handle),
    ...plan.cgroupDirs.flatMap((dir) => ['cgroup', dir]),
    ...(plan.diskImage === null ? [] : ['disk', plan.diskImage]),
    ...plan.lowerPaths.flatMap((path) => ['lower', path]),
    ...plan.platformFiles.flatMap((path, number) => ['bind', String(number), 'ro', 'plain', path]),
    ...plan.bindMounts.flatMap(bindArgs),
  ]
}
