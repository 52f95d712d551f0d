import type { BindMount } from '@croft/garden-api'
import { HIGH_EXTENT } from '../options.js'
import { bindNumber } from '../containerizer/bundle.js'

/** What a shim is started with. Pure: the order and spelling of `croft-init shim …`. */
export interface ShimPlan {
  runcId: string
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
  platform: PlatformFiles
  bindMounts: readonly BindMount[]
  /** For a sidecar only. */
  pea?: {
    /** The shim of its container, whose mounts it sees. */
    shimPid: number
    /** Where what is known of the container's processes lies. */
    processFolder: string
    /** Folders below which it writes, each made when missing; the last one holds `up` and `wk`. */
    upperPaths: readonly string[]
  }
}

/** The first process's program, and the files that name hosts: copied for the container, or another shim's copies. */
export type PlatformFiles = { init: string } & ({ hosts: string; resolv: string } | { sharedFrom: string })

function platformArgs(files: PlatformFiles): string[] {
  const init = ['bind', '0', 'ro', 'plain', files.init]
  if (!('sharedFrom' in files)) return [...init, 'copy', '1', files.hosts, 'copy', '2', files.resolv]
  return [
    ...init,
    ...[1, 2].flatMap((number) => ['bind', String(number), 'rw', 'plain', `${files.sharedFrom}/${number}`]),
  ]
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
    plan.runcId,
    ...(plan.pea === undefined ? [] : ['join', String(plan.pea.shimPid)]),
    ...plan.cgroupDirs.flatMap((dir) => ['cgroup', dir]),
    ...(plan.pea === undefined ? [] : ['proc', plan.pea.processFolder]),
    ...(plan.pea?.upperPaths ?? []).flatMap((path) => ['upper', path]),
    ...(plan.diskImage === null ? [] : ['disk', plan.diskImage]),
    ...plan.lowerPaths.flatMap((path) => ['lower', path]),
    ...platformArgs(plan.platform),
    ...plan.bindMounts.flatMap(bindArgs),
  ]
}
