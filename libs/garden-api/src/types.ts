/**
 * The types of Garden's wire contract (garden/types.go as `reference/garden.md` §1.3 states it), in our own spelling:
 * sizes are bytes, durations milliseconds, CPU usage nanoseconds; the HTTP layer translates to Garden's JSON names.
 * 0 or absence means "no limit" wherever a limit is optional.
 */

export interface ImageRef {
  /** `raw:///dir`, `croft:sha256:<manifest>`, `oci:///…`, …; an ImageResolver turns it into directories. Empty: an empty root. */
  uri: string
  username?: string
  password?: string
}

export interface BindMount {
  /** A path on the host. */
  srcPath: string
  /** Absolute, inside the container; made when missing. */
  dstPath: string
  mode: 'ro' | 'rw'
  /**
   * Croft extension: map the tree's own ids through the container's range, so that uid 1001 on disk is uid 1001 inside.
   * Without it the tree shows with host ids (as nobody, unless world-readable).
   */
  isIdmapped?: boolean
  /**
   * Croft extension: mount an overlay whose upper directory is `srcPath` and whose lower directories are these (uppermost
   * first), all idmapped. What the container changes lands in `srcPath`, with the container's own ids.
   */
  lowerPaths?: string[]
  /** Croft extension, with `lowerPaths`: the overlay's work directory, on the same file system as `srcPath`. */
  workPath?: string
}

export interface Limits {
  memory?: { limitBytes: number }
  /** `weight` wins over `limitInShares`; `quotaMillis` (extension): millicores, 1000 = one core. */
  cpu?: { weight?: number; limitInShares?: number; quotaMillis?: number }
  pids?: { max: number }
  /** `total` (the default, as in Garden) counts the image, `exclusive` only what the container writes. */
  disk?: { byteHard?: number; inodeHard?: number; scope?: 'total' | 'exclusive' }
  bandwidth?: { rateBytesPerSecond: number; burstBytes: number }
  /** Croft extension. `weight` 1–10000 (100 is usual) where the backend can weigh, else a throttle (`Capabilities.io`). */
  io?: { weight?: number; readBytesPerSecond?: number; writeBytesPerSecond?: number }
}

/** What of a container's limits can change while it runs; an absent field stays, 0 lifts the limit. */
export type LiveLimits = Pick<Limits, 'memory' | 'cpu' | 'pids' | 'bandwidth' | 'io'>

/** A port of the host that leads into the container; 0 or absent: the backend chooses the host's, and the container's is the same. */
export interface NetIn {
  hostPort?: number
  containerPort?: number
}

export interface MappedPort {
  hostPort: number
  containerPort: number
}

export interface IpRange {
  start: string
  end?: string
}

/** Something outside that a container may reach; rules only ever allow. Absent lists mean everything. */
export interface NetOutRule {
  protocol: 'all' | 'tcp' | 'udp' | 'icmp' | 'icmpv6'
  networks?: IpRange[]
  ports?: { start: number; end?: number }[]
  icmp?: { type: number; code?: number }
  log?: boolean
}

export interface ContainerSpec {
  /** `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`; generated when absent. */
  handle?: string
  image?: ImageRef
  bindMounts?: BindMount[]
  /** The container's address, `a.b.c.d` or `a.b.c.d/n`, inside the backend's range; the next free one when absent. */
  network?: string
  properties?: Record<string, string>
  /** `K=V`. */
  env?: string[]
  /** Refused unless the operator allows it. */
  isPrivileged?: boolean
  limits?: Limits
  netIn?: NetIn[]
  netOut?: NetOutRule[]
  /** Destroyed after this long without a call naming it; 0 = never. */
  graceTimeMs?: number
  /** Croft extension: no setuid program gains anything. Default true. */
  noNewPrivileges?: boolean
  /** Croft extension: the name in `uname -n`; default the handle's last 49 characters. */
  hostname?: string
}

export interface ProcessSpec {
  /** Unique in its container, finished ones included; generated when absent. */
  id?: string
  /** Looked up in the process's own PATH when it holds no slash. */
  path: string
  args?: string[]
  env?: string[]
  /** Default: the user's home. */
  dir?: string
  /** `name`, `uid`, `uid:gid`, `name:group`; default root. */
  user?: string
  rlimits?: Partial<Record<Rlimit, number>>
  tty?: { columns: number; rows: number } | true
  /**
   * A sidecar ("pea"): its own root file system and mounts in the container's other namespaces. Default directory then is
   * `/`, default user `0:0`; it ends with the container.
   */
  image?: ImageRef
  /** Only with `image`. */
  bindMounts?: BindMount[]
  /** Only with `image`: its own limits beside the container's instead of a share of them; `{}` is no limit at all. */
  limits?: Pick<Limits, 'memory' | 'cpu'>
}

export type Rlimit =
  | 'as'
  | 'core'
  | 'cpu'
  | 'data'
  | 'fsize'
  | 'locks'
  | 'memlock'
  | 'msgqueue'
  | 'nice'
  | 'nofile'
  | 'nproc'
  | 'rss'
  | 'rtprio'
  | 'sigpending'
  | 'stack'

/** How a process ended. */
export interface ProcessExit {
  /** The exit code; 128 + signal when a signal ended it, as a shell shows it. */
  exitCode: number
  signal: number | null
  /**
   * Whether the container's memory limit was why it ended: it was killed for it, or it failed and something in the container was
   * killed for it while it ran. A kill by somebody else, and a success, are none.
   */
  isOutOfMemory: boolean
  /** Wall clock, ms since the epoch. */
  exitedAtMs: number
}

export interface ProcessInfo {
  id: string
  /** The process id as the host sees it, while it runs. */
  pid: number | null
  state: 'running' | 'exited'
  exit: ProcessExit | null
  startedAtMs: number
}

export interface ContainerInfo {
  state: 'active' | 'stopped'
  events: string[]
  hostIp: string
  containerIp: string
  externalIp: string
  containerPath: string
  processIds: string[]
  properties: Record<string, string>
  mappedPorts: MappedPort[]
}

export interface Metrics {
  memory: { usageTowardLimitBytes: number; limitBytes: number | null; stat: Record<string, number> }
  cpu: { usageNs: number; userNs: number; systemNs: number }
  /** `ageMs`: how old these figures are, where finding them took too long to wait; absent or 0: of now. */
  disk: {
    totalBytes: number
    exclusiveBytes: number
    exclusiveInodes: number
    /** With the image's; absent where nobody counts those. */
    totalInodes?: number
    ageMs?: number
  }
  network: { rxBytes: number; txBytes: number } | null
  pids: { current: number; max: number | null }
  ageMs: number
}

export interface Capacity {
  memoryBytes: number
  diskBytes: number
  schedulableDiskBytes: number
  maxContainers: number
}

/** Keeps a container from the grace time while whoever holds it is away; it ends by itself. */
export interface Lease {
  holder: string
  /** Wall clock, ms since the epoch. */
  expiresAtMs: number
}

/** Where in a backend's events one stands. Versions grow by one, and only within one boot id. */
export interface EventPosition {
  bootId: string
  version: number
}

interface EventBase {
  version: number
  /** Wall clock, ms since the epoch. */
  atMs: number
  handle: string
}

/** Something that happened to a container. A hint to look again: what is listed is the truth. */
export type ContainerEvent = EventBase &
  (
    | { kind: 'created' | 'stopped' | 'paused' | 'resumed' | 'out-of-memory' }
    | { kind: 'destroyed'; reason: 'asked' | 'grace-time' | 'lost' }
    | { kind: 'process-started'; processId: string; pid: number | null }
    | { kind: 'process-exited'; processId: string; exit: ProcessExit }
    | { kind: 'limits-changed'; limits: Limits }
  )

/** What a backend can do on this host; a conformance spec that needs an absent one is skipped by name and counted. */
export interface Capabilities {
  cgroupVersion: 1 | 2
  /** Idmapped mounts; without them trees are copied with shifted ids. */
  hasIdmap: boolean
  hasSwapLimit: boolean
  /** How a disk limit is held: `none` refuses a spec that asks for one. */
  diskQuota: 'none' | 'loop' | 'btrfs' | 'prjquota'
  hasPrivileged: boolean
  /** Containers have network namespaces, addresses and rules that hold. */
  hasNetwork: boolean
  /** Ports of the host can lead into containers. */
  hasNetIn: boolean
  hasTty: boolean
  /** Containers can be frozen and thawed. */
  hasFreezer: boolean
  hasBandwidth: boolean
  /**
   * `throttle`: rates only, of the disk containers lie on; on cgroup v1 they hold reads and direct writes, not what goes through
   * the page cache.
   */
  io: 'weight' | 'throttle' | 'none'
  /** Processes can have an image of their own. */
  hasSidecars: boolean
  /** Limits can change while a container runs. */
  hasLiveLimits: boolean
  /** Extended attributes survive streaming in and out. */
  hasXattrs: boolean
}

/** What `recover` found: adopted containers run on, the others were finished or undone and are gone. */
export interface RecoverReport {
  adopted: string[]
  removed: { handle: string; why: string }[]
}
