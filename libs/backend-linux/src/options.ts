import type { ContainerSpec, ImageResolver } from '@croft/garden-api'
import type { Clock, Logger } from '@croft/kit'

/** A destination that containers may reach although it lies in a private range: a package registry, a proxy. */
export interface EgressRule {
  /** An IPv4 address or CIDR block; names are resolved by whoever makes the list. */
  host: string
  port: number
}

export interface LinuxBackendOptions {
  /** The home's index k, 0–63, as `reserveHomeIndex` gave it. */
  index: number
  /** One folder for each container: `<home>/node/containers`. */
  depotDir: string
  /** Shims' sockets: `/run/croft/<k>/containers`. */
  runDir: string
  /** runc's state, on a tmpfs: `/run/croft/<k>/runc`. */
  runcRoot: string
  /** The compiled croft-init. */
  shimPath: string
  images: ImageResolver
  logger: Logger
  clock?: Clock
  /** Name of the cgroup above all homes; default `croft`. */
  cgroupRoot?: string
  /** `10.x.y.0/20`; may come later by `setNetwork`. Without it no container can be made. */
  network?: string
  /** Where containers' DNS questions go; default: the host's /etc/resolv.conf. */
  resolvers?: string[]
  /** Allowed before private ranges are dropped, also on the host itself. */
  egress?: EgressRule[]
  /** Which containers that is for, of those without `netOut` of their own; absent: for all. */
  hasEgress?: (spec: ContainerSpec) => boolean
  /** How many events are kept for readers that come back; 10,000 by default. */
  keptEvents?: number
  /** Ports of the host given to containers that ask for any; default 61001–65534. */
  portPool?: { first: number; last: number }
  /** First host uid of slot 0 of home 0; default 100000. */
  uidBase?: number
  maxContainers?: number
  /** Whether a container may ask for privileges: all capabilities in its user namespace, and the calls for mounts and namespaces. */
  allowPrivileged?: boolean
  /** How long a destroy keeps its caller before it answers that it will be done later; default 10 s. */
  destroyTimeoutMs?: number
  /** An empty directory anybody may search, over which every shim mounts its own; default `/run/croft/stage`. */
  stageDir?: string
  /** Bytes of each of the two log files kept for each stream of a process; default 1 MiB. */
  logBytes?: number
  /** The most one archive streamed in or out may hold; default DEFAULT_STREAM_LIMITS. */
  streamLimits?: { bytes: number; entries: number }
  /** Path of runc; default: found in PATH. */
  runcPath?: string
}

export const DEFAULT_STAGE_DIR = '/run/croft/stage'
export const DEFAULT_STREAM_LIMITS = { bytes: 16 * 1024 ** 3, entries: 1_000_000 }
export const DEFAULT_LOG_BYTES = 1024 * 1024
export const DEFAULT_UID_BASE = 100_000
/** Above what Linux gives to sockets that ask for no port. */
export const DEFAULT_PORT_POOL = { first: 61_001, last: 65_534 }
export const DEFAULT_CGROUP_ROOT = 'croft'
/** Below this ext4 has no room for its own structures. */
export const MIN_DISK_BYTES = 256 * 1024
/** uid slots, and with them containers, of one home. */
export const SLOTS_PER_HOME = 512
/** Ids of one slot. */
export const SLOT_SIZE = 65_536
/** Container ids from 65536 up map here, for all containers alike (uids such as 1000000000 are asked for). */
export const HIGH_EXTENT = { containerId: SLOT_SIZE, hostId: 2_200_000_000, size: 2_000_000_000 }
