import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, failpoint, systemClock } from '@croft/kit'
import { endProcess, hasEnded, isAlive, killQuietly, signalProcess } from '../depot/process-identity.js'
import { removeTree } from '../depot/remove-tree.js'
import { stageDir } from './create.js'
import { Deadline } from './deadline.js'
import { findShims } from './find-shims.js'
import { hasDisk, type Entry, type Host, type Pea } from './host.js'
import { listPeas, readPea } from './pea-journal.js'
import { ownGroup, peaFolder, peaProcesses, peaRuncId, peasFolder, peaUpper } from './pea-names.js'

/** A shim tells its clients of the exit first. */
const SHIM_END_MS = 1_000
const END_TIMEOUT_MS = 10_000

/** Removes all a sidecar has on the host but what is kept of its process; each step is fine with finding nothing. */
export async function removePea(host: Host, entry: Entry, pea: Pea): Promise<void> {
  const folder = peaFolder(host, entry.handle, pea.id)
  const shims = pea.state.shim === null ? await findShims((path) => path === folder) : [pea.state.shim]
  if (pea.state.init === null) for (const shim of shims) await endProcess(shim)
  else await signalProcess(pea.state.init, 'SIGKILL')
  await endProcesses(host, entry, pea)
  for (const shim of shims) if (!(await hasEnded(shim, SHIM_END_MS))) await endProcess(shim)
  failpoint('pea-killed')
  await forgetPea(host, entry, pea)
  failpoint('pea-forgotten')
  host.usage.forget(peaUpper(host, entry, pea))
  await removeFromDisk(host, entry, pea.id)
  await removeTree(folder)
  entry.peas.delete(pea.id)
}

/** Removes those a container has when its processes are all dead: their shims end by themselves. */
export async function removePeas(host: Host, entry: Entry, deadline: Deadline): Promise<void> {
  for (const id of listPeas(host, entry.handle)) {
    const folder = peaFolder(host, entry.handle, id)
    const pea = await readPea(host, entry, id)
    if (pea === null) continue
    const shims = pea.state.shim === null ? await findShims((path) => path === folder) : [pea.state.shim]
    if (entry.state.bootId === host.bootId)
      for (const shim of shims)
        if (!(await hasEnded(shim, Math.min(SHIM_END_MS, deadline.leftMs)))) await endProcess(shim, deadline.leftMs)
    await endProcesses(host, entry, pea)
    await forgetPea(host, entry, pea)
  }
  entry.peas.clear()
}

async function endProcesses(host: Host, entry: Entry, pea: Pea): Promise<void> {
  const deadline = new Deadline(END_TIMEOUT_MS)
  for (;;) {
    const pids = peaProcesses(host, entry, pea)
    if (pids.length === 0) return
    if (deadline.leftMs === 0) throw new Error(`process ${pids.join(', ')} does not end`)
    for (const pid of pids) killQuietly(pid, 'SIGKILL')
    if (pea.state.hasOwnLimits) await host.cgroups.resume(ownGroup(entry, pea))
    await systemClock.sleep(2)
  }
}

/** What bears its number. */
async function forgetPea(host: Host, entry: Entry, pea: Pea): Promise<void> {
  if (pea.state.hasOwnLimits) await host.cgroups.remove(ownGroup(entry, pea))
  else await host.cgroups.remove(join(entry.handle, `pea-${pea.state.number}`))
  await rm(join(host.options.runcRoot, peaRuncId(entry, pea.state.number)), { recursive: true, force: true })
  await rm(pea.client.socketPath, { force: true })
  await noteLostExit(join(host.depot.folder(entry.handle), 'proc', pea.id), host.now())
}

/** A process whose shim died untold was killed with it. */
async function noteLostExit(folder: string, nowMs: number): Promise<void> {
  const files = await readdir(folder).catch((): string[] => [])
  if (!files.includes('started') || files.includes('exit')) return
  await writeFile(join(folder, 'exit.new'), `137 9 0 ${nowMs}\n`, { mode: 0o600 })
  await rename(join(folder, 'exit.new'), join(folder, 'exit'))
}

/** What it wrote, when the container's disk is limited: that disk is mounted nowhere but in the shim's namespace. */
async function removeFromDisk(host: Host, entry: Entry, id: string): Promise<void> {
  const { shim } = entry.state
  if (!hasDisk(entry.spec) || shim === null || !(await isAlive(shim))) return
  await removeTree(`/proc/${shim.pid}/root${stageDir(host)}/disk/peas/${id}`)
}

/** Takes up the sidecars of an adopted container that still run, and removes the others. */
export async function adoptPeas(host: Host, entry: Entry): Promise<void> {
  for (const id of listPeas(host, entry.handle)) {
    const pea = await readPea(host, entry, id)
    if (pea === null) await removeTree(join(peasFolder(host, entry.handle), id))
    else if (await isServing(pea)) entry.peas.set(id, pea)
    else await removePea(host, entry, pea)
  }
}

/** Whether its process runs and can be reached. */
async function isServing(pea: Pea): Promise<boolean> {
  const { shim, init } = pea.state
  if (shim === null || init === null || !(await isAlive(shim)) || !(await isAlive(init))) return false
  try {
    return (await pea.client.hello()).processes.some((process) => process.id === pea.id)
  } catch (error) {
    if (errnoOf(error) === 'unrecoverable') return false
    throw error
  }
}
