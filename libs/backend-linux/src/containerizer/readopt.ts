import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, messageOf } from '@croft/kit'
import type { RecoverReport } from '@croft/garden-api'
import { endProcess, identify, isAlive } from '../depot/process-identity.js'
import { deleteLink, listLinks } from '../networker/apply.js'
import { linkName, runcId } from '../home/naming.js'
import { socketPath } from './create.js'
import { entryOf, removeContainer, removeUnknown, shimFolder } from './destroy.js'
import type { Entry, Host } from './host.js'
import { Turnstile } from './turnstile.js'

const CONCURRENCY = 8

/** Why a container cannot run on, or null when it does. */
async function reasonToRemove(host: Host, entry: Entry): Promise<string | null> {
  const { state } = entry
  if (state.bootId !== host.bootId) return 'the host was started anew'
  if (state.step !== 'created') return `it was left ${state.step}`
  if (state.shim === null || !(await isAlive(state.shim))) return 'its shim is gone'
  if (state.init === null || !(await isAlive(state.init))) return 'its first process is gone'
  try {
    await entry.client.hello()
    return null
  } catch (error) {
    return `its shim does not answer: ${messageOf(error)}`
  }
}

/** Takes up what runs, removes what does not, and sweeps what nobody's journal names. */
export async function readopt(host: Host): Promise<{ entries: Entry[]; report: RecoverReport }> {
  const report: RecoverReport = { adopted: [], removed: [] }
  const entries: Entry[] = []
  const gate = new Turnstile(CONCURRENCY)
  const handles = await host.depot.list()
  await Promise.all(
    handles.map((handle) =>
      gate.pass(async () => {
        const read = await host.depot.read(handle)
        if (read === null) {
          await removeUnknown(host, handle)
          report.removed.push({ handle, why: 'its journal is not readable' })
          return
        }
        const entry = entryOf(read, socketPath(host, read.state.slot))
        const why = await reasonToRemove(host, entry)
        if (why !== null) {
          await removeContainer(host, entry)
          report.removed.push({ handle, why })
          return
        }
        host.slots.claim(entry.state.slot)
        host.addresses?.claim(entry.state.address)
        entries.push(entry)
        report.adopted.push(handle)
      }),
    ),
  )
  await sweep(host, entries, report)
  return { entries, report }
}

/** Removes what bears the home's index and belongs to no container: cgroups, shims, links, runc's state, sockets. */
async function sweep(host: Host, entries: readonly Entry[], report: RecoverReport): Promise<void> {
  const known = new Set(entries.map((entry) => entry.handle))
  const folders = new Set(entries.map((entry) => host.depot.folder(entry.handle)))
  for (const handle of await host.cgroups.list()) {
    if (known.has(handle)) continue
    await removeUnknown(host, handle)
    report.removed.push({ handle, why: 'it has a cgroup but no journal' })
  }
  for (const pid of await host.cgroups.shims()) {
    const identity = await identify(pid)
    if (identity !== null && !folders.has((await shimFolder(pid)) ?? '')) await endProcess(identity)
  }
  const links = new Set(entries.map((entry) => linkName(host.names, entry.state.slot)))
  for (const link of await listLinks(host.names)) if (!links.has(link)) await deleteLink(link)
  const sockets = new Set(entries.map((entry) => entry.client.socketPath))
  await removeOthers(host.options.runDir, (path) => sockets.has(path) || !path.endsWith('.sock'))
  const runcIds = new Set([...known].map(runcId))
  await removeOthers(host.options.runcRoot, (_path, name) => runcIds.has(name))
}

async function removeOthers(dir: string, isKept: (path: string, name: string) => boolean): Promise<void> {
  try {
    for (const name of await readdir(dir)) {
      if (!isKept(join(dir, name), name)) await rm(join(dir, name), { recursive: true, force: true })
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
