import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import type { ContainerSpec, EventLog } from '@croft/garden-api'
import type { Logger } from '@croft/kit'
import type { Cgroups } from '../cgroup/cgroups.js'
import type { ProcessFolders } from '../container/process-folders.js'
import type { ContainerState, Depot, ProcessIdentity } from '../depot/journal.js'
import type { HomeNames } from '../home/naming.js'
import type { AddressAllocator, SlotAllocator } from '../networker/allocator.js'
import type { Networker } from '../networker/apply.js'
import type { ContainerNetwork } from '../networker/plan.js'
import type { LinuxBackendOptions } from '../options.js'
import type { ShimClient } from '../shim/client.js'
import type { Starter } from '../shim/starter.js'
import type { ImageSizes } from '../volumizer/image-sizes.js'
import type { UsageMeter } from '../volumizer/usage-meter.js'
import type { Drains } from './drains.js'
import type { Turnstile } from './turnstile.js'

/** What making, destroying and adopting containers work with. */
export interface Host {
  options: LinuxBackendOptions
  names: HomeNames
  bootId: string
  depot: Depot
  cgroups: Cgroups
  networker: Networker
  slots: SlotAllocator
  addresses: AddressAllocator | undefined
  drains: Drains
  starter: Starter
  imageSizes: ImageSizes
  usage: UsageMeter
  /** Creates are bound by the processor: as many at once as there are cores. */
  creates: Turnstile
  facts: HostFacts
  events: EventLog
  logger: Logger
  now: () => number
}

/** A container this backend knows. */
export interface Entry {
  handle: string
  spec: ContainerSpec
  state: ContainerState
  client: ShimClient
  /** Sidecars, by the id of their process. */
  peas: Map<string, Pea>
  /** One change of limits at a time. */
  changes?: Turnstile
  /** What is on disk of its processes, as far as anybody looked. */
  processes?: ProcessFolders
  /** How many were started by this daemon. */
  runs?: number
}

/** Where what is kept of a container's processes lies. */
export const processFolder = (host: Host, handle: string): string => join(host.depot.folder(handle), 'proc')

/** What the network has to know of a container. */
export function networkOf(
  { options }: Pick<Host, 'options'>,
  { handle, spec, state }: Omit<Entry, 'client' | 'peas'>,
): ContainerNetwork {
  return {
    slot: state.slot,
    handle,
    address: state.address,
    isOpen: spec.netOut === undefined,
    hasEgress: spec.netOut === undefined && (options.hasEgress?.(spec) ?? true),
    rules: [...(spec.netOut ?? []), ...(state.netOut ?? [])],
    ports: state.ports ?? [],
  }
}

/** A sidecar: one process with a root, mounts and a shim of its own in its container's other namespaces. */
export interface Pea {
  id: string
  state: PeaState
  client: ShimClient
}

/** What is known of a sidecar on disk. */
export interface PeaState {
  /** Unique in its container; names its cgroup, its socket and what runc keeps of it. */
  number: number
  /** Whether its cgroup is beside the container's, with limits of its own. */
  hasOwnLimits: boolean
  createdAtMs: number
  /** Its image's environment. */
  env: string[]
  shim: ProcessIdentity | null
  init: ProcessIdentity | null
}

/** Whether what the container writes lies on a disk of its own. */
export function hasDisk(spec: ContainerSpec): boolean {
  return (spec.limits?.disk?.byteHard ?? 0) > 0 || (spec.limits?.disk?.inodeHard ?? 0) > 0
}

/** What bundles depend on and does not change while the host runs. */
export interface HostFacts {
  capabilities: bigint
  hasIpv6: boolean
  arch: 'x64' | 'arm64'
  maxOpenFiles: number
  cores: number
}

export async function readHostFacts(): Promise<HostFacts> {
  const [status, limits, hasIpv6] = await Promise.all([
    readFile('/proc/self/status', 'utf8'),
    readFile('/proc/self/limits', 'utf8'),
    readFile('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'utf8').then(
      () => true,
      () => false,
    ),
  ])
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1]
  return {
    capabilities: BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`),
    hasIpv6,
    arch: process.arch === 'arm64' ? 'arm64' : 'x64',
    maxOpenFiles: hard === undefined || hard === 'unlimited' ? 1_048_576 : Number(hard),
    cores: Math.max(1, cpus().length),
  }
}
