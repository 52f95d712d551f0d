import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, failpoint, waitFor } from '@croft/kit'
import { endProcess, hasEnded, identify, isAlive, killQuietly, signalProcess } from '../depot/process-identity.js'
import type { ProcessIdentity } from '../depot/journal.js'
import type { Cgroups } from '../cgroup/cgroups.js'
import { runcId } from '../home/naming.js'
import { ShimClient } from '../shim/client.js'
import type { Entry, Host } from './host.js'

/** A shim that has clients to tell of an exit gets this long before it is killed. */
const SHIM_END_MS = 1_000
const EMPTY_TIMEOUT_MS = 10_000

/**
 * Removes everything a container has on the host, in whatever state it is; each step is fine with finding nothing, so it is
 * also how half-made and half-destroyed containers end. Frees its slot and address last.
 */
export async function removeContainer(host: Host, entry: Entry): Promise<void> {
  const { handle, state } = entry
  const isThisBoot = state.bootId === host.bootId
  failpoint('container-destroying')
  if (isThisBoot && state.init !== null) await signalProcess(state.init, 'SIGKILL')
  await emptyCgroup(host.cgroups, handle)
  for (const shim of await shimsOf(host, entry)) {
    /* one that serves tells its clients of the exits and ends by itself; one that is still making must be stopped */
    if (state.init === null || !(await hasEnded(shim, SHIM_END_MS))) await endProcess(shim)
  }
  /* runc may have put a process there between the two */
  await emptyCgroup(host.cgroups, handle)
  failpoint('container-killed')
  await Promise.all([
    host.networker.disconnect(state.slot),
    host.cgroups.remove(handle),
    rm(join(host.options.runcRoot, runcId(handle)), { recursive: true, force: true }),
    rm(entry.client.socketPath, { force: true }),
  ])
  /* the journal last: what is left after a crash is found by it */
  await host.depot.remove(handle)
  host.slots.free(state.slot)
  host.addresses?.free(state.address)
}

/** Removes what lies under a handle of which no readable journal is left. */
export async function removeUnknown(host: Host, handle: string): Promise<void> {
  await emptyCgroup(host.cgroups, handle)
  for (const shim of await findShims((folder) => folder === host.depot.folder(handle))) await endProcess(shim)
  await emptyCgroup(host.cgroups, handle)
  await host.cgroups.remove(handle)
  await rm(join(host.options.runcRoot, runcId(handle)), { recursive: true, force: true })
  await host.depot.remove(handle)
}

/** Kills until nobody is left; a frozen process dies only once it is thawed. */
export async function emptyCgroup(cgroups: Cgroups, handle: string): Promise<void> {
  await waitFor(
    async () => {
      const pids = await cgroups.processes(handle)
      if (pids.length === 0) return true
      for (const pid of pids) killQuietly(pid, 'SIGKILL')
      await cgroups.resume(handle)
      await cgroups.thaw(handle)
      return false
    },
    { what: `the processes of ${handle} to end`, timeoutMs: EMPTY_TIMEOUT_MS, everyMs: 2 },
  )
}

async function shimsOf(host: Host, entry: Entry): Promise<ProcessIdentity[]> {
  const { shim, bootId } = entry.state
  if (shim !== null && bootId === host.bootId) return (await isAlive(shim)) ? [shim] : []
  return await findShims((folder) => folder === host.depot.folder(entry.handle))
}

/**
 * Shims by the folder in their command line, for those a crash kept out of the journal: among all processes, because one that
 * was only just started has not joined its cgroup.
 */
export async function findShims(isWanted: (folder: string) => boolean): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || !isWanted((await shimFolder(Number(name))) ?? '')) continue
    const identity = await identify(Number(name))
    if (identity !== null) found.push(identity)
  }
  return found
}

/** The depot folder a shim serves, from its command line; null when the process is none or gone. */
export async function shimFolder(pid: number): Promise<string | null> {
  try {
    const [, role, folder] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
    return role === 'shim' && folder !== undefined ? folder : null
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return null
    throw error
  }
}

/** An entry made from what the journal says, to adopt or to remove it. */
export function entryOf(read: Omit<Entry, 'client'>, socket: string): Entry {
  return { handle: read.handle, spec: read.spec, state: read.state, client: new ShimClient(socket) }
}
