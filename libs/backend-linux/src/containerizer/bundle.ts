import type { ContainerSpec } from '@croft/garden-api'
import { HIGH_EXTENT, SLOT_SIZE } from '../options.js'
import { seccompProfile } from '../seccomp/profile.js'
import { capabilitiesOf } from './capabilities.js'

/** What a bundle is made from; the rest is the same for every container. */
export interface BundleInput {
  handle: string
  spec: ContainerSpec
  /** First host uid of the container's range. */
  uidBase: number
  /** Absolute path for the cgroup, below which runc puts nothing. */
  cgroupPath: string
  /** Where the shim mounts: `root` and `b/<n>`. */
  stageDir: string
  /** Capabilities this host's bounding set holds, as a bit mask. */
  hostCapabilities: bigint
  hasIpv6: boolean
  arch: 'x64' | 'arm64'
  /** The hard limit on open files runc may give. */
  maxOpenFiles: number
  /** For a sidecar: the first process of its container, whose namespaces it joins but for those of its mounts and cgroup. */
  sharedWithPid?: number
  /** For a sidecar: whether its limits are its own, beside its container's. */
  hasOwnLimits?: boolean
}

interface Mount {
  destination: string
  type: string
  source: string
  options: string[]
}

/** Files every container gets, mounted after everything else; the order is that of the shim's `bind` numbers. */
export const PLATFORM_BINDS = ['/tmp/garden-init', '/etc/hosts', '/etc/resolv.conf'] as const

const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

const HOSTNAME_LENGTH = 49
const OPEN_FILES = 65_536

/** The number of a spec's bind mount among the shim's: the platform's come first. */
export const bindNumber = (index: number): number => PLATFORM_BINDS.length + index

function systemMounts(input: BundleInput): Mount[] {
  const none = ['nosuid', 'noexec', 'nodev']
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: none },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=65536k', 'nr_inodes=4096'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'tmpfs',
      /* a sidecar without a memory limit has none here either */
      options: [...none, 'mode=1777', ...(hasNoMemoryLimit(input) ? [] : ['size=65536k'])],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: none },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...none, 'ro'] },
    /* one with privileges could make a read-only mount writable again */
    ...(input.spec.isPrivileged === true
      ? []
      : [{ destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...none, 'relatime', 'ro'] }]),
  ]
}

const hasNoMemoryLimit = (input: BundleInput): boolean =>
  input.sharedWithPid !== undefined && input.hasOwnLimits === true && !input.spec.limits?.memory?.limitBytes

function bind(input: BundleInput, number: number, destination: string, isReadOnly: boolean): Mount {
  return {
    destination,
    type: 'bind',
    source: `${input.stageDir}/b/${number}`,
    options: ['bind', 'nosuid', 'nodev', isReadOnly ? 'ro' : 'rw'],
  }
}

function mounts(input: BundleInput): Mount[] {
  const asked = input.spec.bindMounts ?? []
  return [
    ...systemMounts(input),
    ...asked.map((mount, index) => bind(input, bindNumber(index), mount.dstPath, mount.mode === 'ro')),
    /* the container's root may write what names hosts, nobody the program that starts processes */
    ...PLATFORM_BINDS.map((destination, number) => bind(input, number, destination, number === 0)),
  ]
}

function idMappings(input: BundleInput): { containerID: number; hostID: number; size: number }[] {
  return [
    { containerID: 0, hostID: input.uidBase, size: SLOT_SIZE },
    { containerID: HIGH_EXTENT.containerId, hostID: HIGH_EXTENT.hostId, size: HIGH_EXTENT.size },
  ]
}

/** Kinds of namespaces that a sidecar shares with its container, and their names below /proc/<pid>/ns. */
const SHARED_NAMESPACES = { pid: 'pid', ipc: 'ipc', uts: 'uts', network: 'net', user: 'user' }

function namespaces(sharedWithPid: number | undefined): { type: string; path?: string }[] {
  const shared = Object.entries(SHARED_NAMESPACES).map(([type, file]) =>
    sharedWithPid === undefined ? { type } : { type, path: `/proc/${sharedWithPid}/ns/${file}` },
  )
  return [...shared, { type: 'mount' }, { type: 'cgroup' }]
}

/** Limits shown again where the container looks for them, its own cgroup; the parent's are those that hold. */
function resources(input: BundleInput): Record<string, unknown> {
  const memoryBytes = input.spec.limits?.memory?.limitBytes ?? 0
  return {
    devices: [{ allow: false, access: 'rwm' }],
    ...(memoryBytes > 0 && { memory: { limit: memoryBytes, swap: memoryBytes } }),
  }
}

function sysctl(input: BundleInput): Record<string, string> {
  return {
    'net.ipv4.ip_unprivileged_port_start': '0',
    'net.ipv4.ping_group_range': '0 65535',
    ...(input.hasIpv6 && { 'net.ipv6.conf.all.disable_ipv6': '1', 'net.ipv6.conf.default.disable_ipv6': '1' }),
  }
}

/** The container's `uname -n`. */
export function hostnameOf(handle: string, asked?: string): string {
  return asked ?? handle.slice(-HOSTNAME_LENGTH).replace(/^[^A-Za-z0-9]+/, '')
}

/** config.json of an OCI bundle. Pure. */
export function makeBundle(input: BundleInput): Record<string, unknown> {
  const isPrivileged = input.spec.isPrivileged === true
  const caps = capabilitiesOf(input.hostCapabilities, isPrivileged)
  const idMaps = idMappings(input)
  const isShared = input.sharedWithPid !== undefined
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: [PLATFORM_BINDS[0]],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: caps, effective: caps, permitted: caps, inheritable: caps }, // as Garden's
      noNewPrivileges: input.spec.noNewPrivileges ?? true,
      rlimits: [
        {
          type: 'RLIMIT_NOFILE',
          hard: Math.min(input.maxOpenFiles, OPEN_FILES),
          soft: Math.min(input.maxOpenFiles, OPEN_FILES),
        },
      ],
    },
    root: { path: `${input.stageDir}/root`, readonly: false },
    ...(!isShared && { hostname: hostnameOf(input.handle, input.spec.hostname) }),
    mounts: mounts(input),
    linux: {
      namespaces: namespaces(input.sharedWithPid),
      uidMappings: idMaps,
      gidMappings: idMaps,
      cgroupsPath: input.cgroupPath,
      resources: resources(input),
      seccomp: seccompProfile(input.arch, isPrivileged),
      ...(!isShared && { sysctl: sysctl(input) }),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
      rootfsPropagation: 'private',
    },
  }
}
