import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, failpoint } from '@croft/kit'
import { AlreadyInUseError, ServiceUnavailableError, type ProcessSpec } from '@croft/garden-api'
import { slotUid } from '../home/naming.js'
import { DEFAULT_LOG_BYTES } from '../options.js'
import { ShimClient } from '../shim/client.js'
import { startShim } from '../shim/start.js'
import { shimArgs } from '../volumizer/shim-plan.js'
import { makeBundle } from './bundle.js'
import { resolveBinds, resolveImage, RUNC, stageDir } from './create.js'
import { hasDisk, type Entry, type Host, type Pea } from './host.js'
import { ownGroup, peaCgroupPath, peaFolder, peaOomFile, peaRuncId, peasFolder, peaSocket } from './pea-names.js'
import { writePea } from './pea-journal.js'
import { removePea } from './remove-pea.js'

/** Takes the process id, and the smallest number no other sidecar of the container has. */
async function reserve(host: Host, entry: Entry, id: string, spec: ProcessSpec): Promise<Pea> {
  const inUse = new AlreadyInUseError(`process ID '${id}'`)
  await mkdir(peasFolder(host, entry.handle), { recursive: true, mode: 0o700 })
  try {
    await mkdir(peaFolder(host, entry.handle, id), { mode: 0o700 })
  } catch (error) {
    throw errnoOf(error) === 'EEXIST' ? inUse : error
  }
  if (await isThere(join(host.depot.folder(entry.handle), 'proc', id))) {
    await rm(peaFolder(host, entry.handle, id), { recursive: true })
    throw inUse
  }
  const taken = new Set([...entry.peas.values()].map((pea) => pea.state.number))
  let number = 1
  while (taken.has(number)) number += 1
  const state = {
    number,
    hasOwnLimits: spec.limits !== undefined,
    createdAtMs: host.now(),
    env: [],
    shim: null,
    init: null,
  }
  const pea: Pea = { id, state, client: new ShimClient(peaSocket(host, entry, number)) }
  entry.peas.set(id, pea)
  failpoint('pea-reserved')
  return pea
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

/** A shim and a runc of its own, in the mounts of the container's shim and the namespaces of its first process. */
async function stand(host: Host, entry: Entry, pea: Pea, spec: ProcessSpec): Promise<void> {
  const { shim, init } = entry.state
  if (shim === null || init === null) throw new ServiceUnavailableError('the container is not there yet')
  const binds = { bindMounts: spec.bindMounts ?? [], ...(spec.image !== undefined && { image: spec.image }) }
  const [image, bindMounts] = await Promise.all([resolveImage(host, binds), resolveBinds(binds.bindMounts)])
  pea.state.env = image.env
  const folder = peaFolder(host, entry.handle, pea.id)
  const stage = stageDir(host)
  const uidBase = slotUid(host.names.index, entry.state.slot, host.options.uidBase)
  const onDisk = hasDisk(entry.spec) ? join(stage, 'disk', 'peas') : null
  await writePea(folder, pea.state)
  failpoint('pea-journaled')
  if (pea.state.hasOwnLimits) await host.cgroups.create(ownGroup(entry, pea), spec.limits)
  const bundle = makeBundle({
    handle: entry.handle,
    spec: { ...entry.spec, limits: spec.limits ?? {}, bindMounts },
    uidBase,
    cgroupPath: peaCgroupPath(host, entry, pea),
    stageDir: join(stage, 'p'),
    hostCapabilities: host.facts.capabilities,
    hasIpv6: host.facts.hasIpv6,
    arch: host.facts.arch,
    maxOpenFiles: host.facts.maxOpenFiles,
    hasOwnLimits: pea.state.hasOwnLimits,
    sharedWithPid: init.pid,
  })
  await mkdir(join(folder, 'proc'), { mode: 0o700 })
  await writeFile(join(folder, 'config.json'), JSON.stringify(bundle), { mode: 0o600 })
  const args = shimArgs({
    runcId: peaRuncId(entry, pea.state.number),
    folder,
    socketPath: pea.client.socketPath,
    stageDir: join(stage, 'p'),
    uidBase,
    logBytes: host.options.logBytes ?? DEFAULT_LOG_BYTES,
    oomFile: peaOomFile(host, entry, pea),
    runcPath: host.options.runcPath ?? RUNC,
    runcRoot: host.options.runcRoot,
    cgroupDirs: await host.cgroups.shimDirs(),
    diskImage: null,
    lowerPaths: image.lowerPaths,
    platform: { init: host.options.shimPath, sharedFrom: join(stage, 'b') },
    bindMounts,
    pea: {
      shimPid: shim.pid,
      processFolder: join(host.depot.folder(entry.handle), 'proc'),
      upperPaths: onDisk === null ? [folder] : [onDisk, join(onDisk, pea.id)],
    },
  })
  const program = [host.options.shimPath, ...args] as const
  const started = await startShim(host.starter, program, folder, async (identity) => {
    failpoint('pea-shim-started')
    pea.state.shim = identity
    await writePea(folder, pea.state)
  })
  Object.assign(pea.state, started)
  await writePea(folder, pea.state)
  failpoint('pea-stands')
}

/**
 * Makes the root and namespaces of a sidecar. Whatever fails undoes all of it.
 * @throws AlreadyInUseError, ImageError, InvalidSpecError, ServiceUnavailableError
 */
export async function makePea(host: Host, entry: Entry, id: string, spec: ProcessSpec): Promise<Pea> {
  const pea = await reserve(host, entry, id, spec)
  try {
    await host.creates.pass(async () => await stand(host, entry, pea, spec))
    return pea
  } catch (error) {
    await removePea(host, entry, pea)
    throw error
  }
}
