import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GardenError } from '@croft/garden-api'
import { failpoint, messageOf, systemClock } from '@croft/kit'
import { endProcess, hasEnded, isAlive, killQuietly, signalProcess } from '../depot/process-identity.js'
import type { ProcessIdentity } from '../depot/journal.js'
import type { Cgroups } from '../cgroup/cgroups.js'
import { runcId } from '../home/naming.js'
import { ShimClient } from '../shim/client.js'
import { all, Deadline } from './deadline.js'
import { findProcesses, findShims } from './find-shims.js'
import type { Entry, Host } from './host.js'
import { removePeas } from './remove-pea.js'

/** A shim that has clients to tell of an exit gets this long before it is killed. */
const SHIM_END_MS = 1_000
/** How long a destroy keeps its caller; what it has not done by then is done later. */
export const DESTROY_TIMEOUT_MS = 10_000
/** Most containers are gone by then; a frozen one is not. */
const LOOKS_BEFORE_THAW = 3
/** Pauses between looks at a container that is being killed grow up to this. */
const MAX_PAUSE_MS = 50

/**
 * A container cannot be removed now: a process of it sleeps uninterruptibly, or the host refuses something. It stays listed,
 * keeps its slot and address, has no network any more, and goes as soon as it can.
 */
export class DestroyPendingError extends GardenError {
  constructor(handle: string, why: unknown) {
    super({
      code: 'destroy-pending',
      status: 503,
      type: 'ServiceUnavailableError',
      title: `container ${handle} is still being destroyed`,
      detail: messageOf(why),
      suggestion: 'It goes as soon as it can; destroy it again to wait for that',
      isRetryable: true,
      handle,
      cause: why,
    })
  }
}

/**
 * Removes everything a container has on the host, in whatever state it is; each step is fine with finding nothing, so it is
 * also how half-made and half-destroyed containers end. Its journal goes when all that bears its handle is gone, then its
 * address and its slot; what it had of link and files drains away behind that (see Drains).
 * @throws DestroyPendingError when not all of it is gone within the time
 */
export async function removeContainer(host: Host, entry: Entry, timeoutMs = DESTROY_TIMEOUT_MS): Promise<void> {
  const { handle, state } = entry
  const deadline = new Deadline(timeoutMs)
  /* it goes with the processes, or if they do not end, before them */
  const unlinked = host.drains.endLink(state.slot)
  try {
    failpoint('container-destroying')
    await all([
      deadline.within(host.networker.disconnect(state.slot, state.ports ?? []), 'the network to let go of it'),
      endProcesses(host, entry, deadline),
    ])
    await removePeas(host, entry, deadline)
    failpoint('container-killed')
    await deadline.within(host.cgroups.remove(handle), 'its cgroups to be empty')
    failpoint('container-cgroups-removed')
    await host.drains.removeFolder(host.options.runcRoot, runcId(handle))
    await rm(entry.client.socketPath, { force: true })
    failpoint('container-unknown-to-runc')
    await host.drains.removeFolder(host.depot.dir, handle)
    failpoint('container-removed')
  } catch (error) {
    throw new DestroyPendingError(handle, error)
  }
  host.usage.forget(join(host.depot.folder(handle), 'up'))
  host.slots.freeAfter(state.slot, unlinked)
  host.addresses?.free(state.address)
}

/** Ends all processes of a container and its shim, and with them its mounts and its namespaces. */
async function endProcesses(host: Host, entry: Entry, deadline: Deadline): Promise<void> {
  const { handle, state } = entry
  const isServing = state.init !== null && state.bootId === host.bootId
  const shims = await shimsOf(host, entry)
  if (isServing && state.init !== null) await signalProcess(state.init, 'SIGKILL')
  /* one that is still making the container would go on */
  else await endMaking(host.depot.folder(handle), shims, deadline)
  failpoint('container-init-killed')
  await emptyCgroup(host.cgroups, handle, deadline.leftMs)
  /* one that serves tells its clients of the exits, and ends by itself */
  for (const shim of shims)
    if (!(await hasEnded(shim, Math.min(SHIM_END_MS, deadline.leftMs)))) await endProcess(shim, deadline.leftMs)
}

/**
 * Ends what makes a container: its shims, and then whatever works below its folder: runc, which dies with its shim but not at
 * the same moment, and the mkfs of a daemon that died.
 */
async function endMaking(folder: string, shims: readonly ProcessIdentity[], deadline: Deadline): Promise<void> {
  for (const shim of shims) await endProcess(shim, deadline.leftMs)
  const makers = await findProcesses((args) => args.some((arg) => arg === folder || arg.startsWith(`${folder}/`)))
  for (const maker of makers) await endProcess(maker, deadline.leftMs)
}

/** Removes what lies under a handle of which no readable journal is left. */
export async function removeUnknown(host: Host, handle: string, timeoutMs = DESTROY_TIMEOUT_MS): Promise<void> {
  const deadline = new Deadline(timeoutMs)
  const folder = host.depot.folder(handle)
  try {
    await endMaking(folder, await findShims((path) => path === folder), deadline)
    await emptyCgroup(host.cgroups, handle, deadline.leftMs)
    await deadline.within(host.cgroups.remove(handle), 'its cgroups to be empty')
    await host.drains.removeFolder(host.options.runcRoot, runcId(handle))
    await host.drains.removeFolder(host.depot.dir, handle)
  } catch (error) {
    throw new DestroyPendingError(handle, error)
  }
}

/** Kills until nobody is left; a frozen process dies only once it is thawed. */
export async function emptyCgroup(cgroups: Cgroups, handle: string, timeoutMs = DESTROY_TIMEOUT_MS): Promise<void> {
  const deadline = new Deadline(timeoutMs)
  for (let looks = 1, pauseMs = 1; ; looks++, pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 1.5)) {
    const pids = cgroups.processes(handle)
    if (pids.length === 0) return
    if (deadline.leftMs === 0) throw new Error(`process ${pids.join(', ')} does not end`)
    if (looks === 1) await cgroups.hurry(handle)
    for (const pid of pids) killQuietly(pid, 'SIGKILL')
    if (looks > LOOKS_BEFORE_THAW) {
      await cgroups.resume(handle)
      await cgroups.thaw(handle)
    }
    await systemClock.sleep(pauseMs)
  }
}

async function shimsOf(host: Host, entry: Entry): Promise<ProcessIdentity[]> {
  const { shim, bootId } = entry.state
  if (shim !== null && bootId === host.bootId) return (await isAlive(shim)) ? [shim] : []
  return await findShims((folder) => folder === host.depot.folder(entry.handle))
}

/** An entry made from what the journal says, to adopt or to remove it. */
export function entryOf(read: Omit<Entry, 'client' | 'peas'>, socket: string): Entry {
  return { handle: read.handle, spec: read.spec, state: read.state, client: new ShimClient(socket), peas: new Map() }
}
