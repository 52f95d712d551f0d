import { chmod, chown, mkdir, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  AlreadyInUseError,
  GardenError,
  ImageError,
  InvalidSpecError,
  ServiceUnavailableError,
  type BindMount,
  type ContainerSpec,
  type ResolvedImage,
} from '@croft/garden-api'
import { failpoint, messageOf } from '@croft/kit'
import type { ContainerState } from '../depot/journal.js'
import { runcId, slotUid } from '../home/naming.js'
import { DEFAULT_LOG_BYTES, DEFAULT_STAGE_DIR, MIN_DISK_BYTES } from '../options.js'
import { ShimClient } from '../shim/client.js'
import { startShim } from '../shim/start.js'
import { makeDisk } from '../volumizer/disk.js'
import { shimArgs, type PlatformFiles } from '../volumizer/shim-plan.js'
import { allocate } from './allocate.js'
import { hostnameOf, makeBundle } from './bundle.js'
import { all } from './deadline.js'
import { hasDisk, networkOf, type Entry, type Host } from './host.js'

export const RUNC = '/usr/sbin/runc'
/** Size of the disk when only inodes are limited. */
const DEFAULT_DISK_BYTES = 64 * 1024 ** 3

export const socketPath = (host: Host, slot: number): string => join(host.options.runDir, `${slot}.sock`)
export const stageDir = (host: Host): string => host.options.stageDir ?? DEFAULT_STAGE_DIR

export async function resolveImage(host: Host, spec: Pick<ContainerSpec, 'image'>): Promise<ResolvedImage> {
  const uri = spec.image?.uri ?? ''
  let image: ResolvedImage
  try {
    image = await host.options.images.resolve(uri)
  } catch (error) {
    throw error instanceof GardenError ? error : new ImageError(`image ${uri}: ${messageOf(error)}`, error)
  }
  try {
    return { ...image, lowerPaths: await Promise.all(image.lowerPaths.map(async (path) => await realpath(path))) }
  } catch (error) {
    throw new ImageError(`image ${uri} is not complete on this node`, error)
  }
}

async function realSource(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    throw new InvalidSpecError(`bind mount of ${path}: ${messageOf(error)}`)
  }
}

/** Sources without symbolic links: the shim refuses to cross one. */
export async function resolveBinds(binds: readonly BindMount[]): Promise<BindMount[]> {
  return await Promise.all(
    binds.map(async (bind) => ({
      ...bind,
      srcPath: await realSource(bind.srcPath),
      ...(bind.lowerPaths !== undefined && { lowerPaths: await Promise.all(bind.lowerPaths.map(realSource)) }),
      ...(bind.workPath !== undefined && { workPath: await realSource(bind.workPath) }),
    })),
  )
}

async function writeFiles(host: Host, entry: Entry, uidBase: number): Promise<PlatformFiles> {
  const folder = host.depot.folder(entry.handle)
  const hostname = hostnameOf(entry.handle, entry.spec.hostname)
  const hosts = join(folder, 'hosts')
  const resolv = join(folder, 'resolv.conf')
  await Promise.all([
    ...['up', 'wk', 'proc'].map(async (name) => {
      await mkdir(join(folder, name), { mode: name === 'up' ? 0o755 : 0o700 })
    }),
    writeFile(hosts, `127.0.0.1 localhost\n${entry.state.address} ${hostname}\n`),
    writeFile(resolv, `nameserver ${host.networker.gateway}\n`),
  ])
  await chown(join(folder, 'up'), uidBase, uidBase)
  await Promise.all(
    [hosts, resolv, join(folder, 'up')].map(async (path) => await chmod(path, path.endsWith('up') ? 0o755 : 0o644)),
  )
  const bundle = makeBundle({
    handle: entry.handle,
    spec: entry.spec,
    uidBase,
    cgroupPath: host.cgroups.pathFor(entry.handle),
    stageDir: stageDir(host),
    hostCapabilities: host.facts.capabilities,
    hasIpv6: host.facts.hasIpv6,
    arch: host.facts.arch,
    maxOpenFiles: host.facts.maxOpenFiles,
  })
  await writeFile(join(folder, 'config.json'), JSON.stringify(bundle), { mode: 0o600 })
  return { init: host.options.shimPath, hosts, resolv }
}

async function makeDiskOf(host: Host, entry: Entry): Promise<string | null> {
  const disk = entry.spec.limits?.disk
  if (!hasDisk(entry.spec)) return null
  const path = join(host.depot.folder(entry.handle), 'disk.img')
  await makeDisk(path, { bytes: await writableBytes(host, entry), inodes: disk?.inodeHard ?? 0 })
  failpoint('container-disk-made')
  return path
}

/** What a disk limit leaves for writing: a total one counts the image. */
async function writableBytes(host: Host, { spec, state }: Entry): Promise<number> {
  const { byteHard = 0, scope = 'total' } = spec.limits?.disk ?? {}
  if (byteHard === 0) return DEFAULT_DISK_BYTES
  if (scope === 'exclusive') return byteHard
  const { bytes: imageBytes } = await host.imageSizes.of(state.imageLayers ?? [])
  if (imageBytes >= byteHard)
    throw new InvalidSpecError(`the image takes ${imageBytes} bytes, the disk limit with it is ${byteHard} bytes`, {
      'limits.disk.byteHard': 'raise it, or limit what is written only (scope exclusive)',
    })
  const bytes = byteHard - imageBytes
  if (bytes < MIN_DISK_BYTES)
    throw new InvalidSpecError(`the image leaves ${bytes} bytes of the disk limit`, {
      'limits.disk.byteHard': `must leave at least ${MIN_DISK_BYTES}`,
    })
  return bytes
}

async function begin(host: Host, entry: Entry, onFailed: (entry: Entry) => Promise<void>): Promise<void> {
  try {
    await host.depot.begin(entry.handle, entry.spec, entry.state)
  } catch (error) {
    if (error instanceof AlreadyInUseError) {
      /* the folder is not ours to remove */
      host.slots.free(entry.state.slot)
      host.addresses?.free(entry.state.address)
      await host.networker.releasePorts(entry.state.slot, entry.state.ports ?? [])
    } else await onFailed(entry)
    throw error
  }
}

/**
 * Makes a container: journal, files, cgroup, shim (mounts and runc), network. When something fails, `onFailed` undoes what
 * there is of it before the error is thrown.
 * @throws InvalidSpecError, AlreadyInUseError, ImageError, ServiceUnavailableError
 */
export async function createContainer(
  host: Host,
  handle: string,
  spec: ContainerSpec,
  onFailed: (entry: Entry) => Promise<void>,
  signal?: AbortSignal,
): Promise<Entry> {
  const [image, bindMounts] = await Promise.all([resolveImage(host, spec), resolveBinds(spec.bindMounts ?? [])])
  signal?.throwIfAborted()
  const { slot, address, subnet, ports } = await allocate(host, spec)
  const state: ContainerState = {
    step: 'creating',
    bootId: host.bootId,
    slot,
    address,
    subnet,
    ports,
    createdAtMs: host.now(),
    isStopped: false,
    properties: { ...spec.properties },
    graceTimeMs: spec.graceTimeMs ?? 0,
    lease: null,
    imageLayers: image.lowerPaths,
    imageEnv: image.env,
    shim: null,
    init: null,
  }
  const entry: Entry = {
    handle,
    spec: { ...spec, handle, network: address },
    state,
    client: new ShimClient(socketPath(host, slot)),
    peas: new Map(),
  }
  failpoint('container-has-slot')
  await begin(host, entry, onFailed)
  failpoint('container-journaled')
  try {
    const uidBase = slotUid(host.names.index, slot, host.options.uidBase)
    const [platform, diskImage, cgroupDirs] = await all([
      writeFiles(host, entry, uidBase),
      makeDiskOf(host, entry),
      host.cgroups.shimDirs(),
      host.cgroups.create(handle, spec.limits),
    ])
    failpoint('container-files-made')
    signal?.throwIfAborted()
    const args = shimArgs({
      runcId: runcId(handle),
      folder: host.depot.folder(handle),
      socketPath: socketPath(host, slot),
      stageDir: stageDir(host),
      uidBase,
      logBytes: host.options.logBytes ?? DEFAULT_LOG_BYTES,
      oomFile: host.cgroups.oomFile(handle),
      runcPath: host.options.runcPath ?? RUNC,
      runcRoot: host.options.runcRoot,
      cgroupDirs,
      diskImage,
      lowerPaths: image.lowerPaths,
      platform,
      bindMounts,
    })
    const program = [host.options.shimPath, ...args] as const
    const started = await startShim(host.starter, program, host.depot.folder(handle), async (shim) => {
      failpoint('container-shim-started')
      state.shim = shim
      await host.depot.write(handle, state)
      failpoint('container-shim-journaled')
    })
    Object.assign(state, started)
    failpoint('container-stands')
    await host.networker.connect(
      networkOf(host, entry),
      started.init.pid,
      spec.limits?.bandwidth,
      async (own, gateway) => await entry.client.network(own, gateway),
    )
    failpoint('container-connected')
    signal?.throwIfAborted()
    state.step = 'created'
    await host.depot.write(handle, state)
    failpoint('container-created')
    return entry
  } catch (error) {
    await onFailed(entry)
    if (error instanceof GardenError) throw error
    if (signal?.aborted === true) throw error
    throw new ServiceUnavailableError(`the container could not be made: ${messageOf(error)}`, error)
  }
}
