import type { Limits } from '@croft/garden-api'
import type { IoControl } from './io.js'
import type { CgroupMetrics } from './metrics.js'

/** What belongs to no handle begins so; no handle does. */
export const OWN = '_'
/** Shims live here. */
export const SHIMS = `${OWN}shims`
/** Processes that serve the apps from outside of containers live here. */
export const SERVING = `${OWN}serving`
/** The child that holds a container's processes; its parent carries the limits. */
export const MAIN = 'main'

/**
 * The cgroups of one home, for both cgroup versions: `/croft/<k>/<handle>` carries a container's limits and no process,
 * `main` below it its processes, and siblings of `main` those of its sidecars.
 */
export interface Cgroups {
  readonly version: 1 | 2
  readonly hasSwapLimit: boolean
  readonly hasFreezer: boolean
  readonly io: IoControl
  /** Absolute path for runc; of the container's processes, or of a sidecar beside them. */
  pathFor(handle: string, child?: string): string
  create(handle: string, limits: Limits | undefined): Promise<void>
  /**
   * Changes limits of a running container, all or none; the answer takes the change back.
   * @throws LimitBelowUseError when the container uses more memory than the new limit
   */
  change(handle: string, change: Limits, merged: Limits): Promise<() => Promise<void>>
  /** Process ids of the container and its sidecars or of one child, as this process sees them; empty without such a cgroup. */
  processes(handle: string, child?: string): number[]
  /** The file whose `oom_kill` line counts kills for memory. */
  oomFile(handle: string, child?: string): string
  /** Stops processes where they stand, so that a signal reaches all of them; whoever asks thaws again at once. */
  freeze(handle: string): Promise<void>
  thaw(handle: string): Promise<void>
  /** Freezes until `resume`, beside `freeze` and `thaw`; the state is the kernel's and outlives this process. */
  pause(handle: string): Promise<void>
  resume(handle: string): Promise<void>
  isPaused(handle: string): boolean
  /**
   * Lets the processes of an idle group run like any others: to end, or to stand still, they need a processor, which nobody leaves them
   * on a busy machine. The answer makes it idle again.
   */
  hurry(handle: string): Promise<() => Promise<void>>
  /** @throws an error with code ENOENT when there is no such cgroup */
  metrics(handle: string): CgroupMetrics
  remove(handle: string): Promise<void>
  /** Handles that have a cgroup. */
  list(): Promise<string[]>
  /** Cgroups of sidecars with limits of their own. */
  ownGroups(): Promise<string[]>
  /** Directories a shim joins; made when missing. */
  shimDirs(): Promise<string[]>
  shims(): Promise<number[]>
  /**
   * Directories that a process joins which serves apps from outside of containers; made when missing. Containers that are to give
   * way give way to it as they do to apps: the kernel compares what has one parent.
   */
  servingDirs(): Promise<string[]>
  /** Whether a process was ever killed for memory. */
  hasKilledForMemory(handle: string): boolean
  /** Removes all that lies below the home's cgroups, which stay where they are the reservation of its index. */
  removeContents(): Promise<void>
}
