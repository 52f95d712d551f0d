import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, messageOf } from '@croft/kit'
import type { RecoverReport } from '@croft/garden-api'
import type { DepotEntry } from '../depot/journal.js'
import { endProcess, identify, isAlive } from '../depot/process-identity.js'
import { deleteLink, listLinks } from '../networker/links.js'
import { linkName, runcId } from '../home/naming.js'
import type { ShimWatch } from '../shim/client.js'
import { socketPath } from './create.js'
import { isGoing } from './drains.js'
import { emptyCgroup, entryOf, removeContainer, removeUnknown } from './destroy.js'
import { shimFolder } from './find-shims.js'
import type { Entry, Host } from './host.js'
import { ownGroup, peaFolder, peaRuncId } from './pea-names.js'
import { adoptPeas } from './remove-pea.js'
import { Turnstile } from './turnstile.js'

const CONCURRENCY = 8
/** What is not removed by then is removed while the others are served. */
const REMOVE_TIMEOUT_MS = 2_000

/** The connection to a container that runs on, or why it cannot. */
async function reach(host: Host, entry: Entry): Promise<ShimWatch | string> {
  const { state } = entry
  if (state.bootId !== host.bootId) return 'the host was started anew'
  if (state.step !== 'created') return `it was left ${state.step}`
  if (state.shim === null || !(await isAlive(state.shim))) return 'its shim is gone'
  if (state.init === null || !(await isAlive(state.init))) return 'its first process is gone'
  try {
    return await entry.client.watch()
  } catch (error) {
    return `its shim does not answer: ${messageOf(error)}`
  }
}

export interface Readopted {
  /** What runs, and the connection that sees its end. */
  entries: { entry: Entry; shim: ShimWatch }[]
  /** What does not and could not be removed yet; it keeps its slot and address. */
  pending: Entry[]
  report: RecoverReport
}

/** Takes up what runs and removes what does not; `sweep` comes next. */
export async function readopt(host: Host): Promise<Readopted> {
  const report: RecoverReport = { adopted: [], removed: [] }
  const entries: { entry: Entry; shim: ShimWatch }[] = []
  const pending: Entry[] = []
  const gate = new Turnstile(CONCURRENCY)
  /* what a destroyed container had on disk may be much, and keeps nobody waiting */
  for (const dir of [host.depot.dir, host.options.runcRoot]) await host.drains.removeGone(dir)
  const handles = await host.depot.list()
  await Promise.all(
    handles.map((handle) =>
      gate.pass(async () => {
        const read = host.depot.read(handle)
        if (read === null) {
          await removeUnknownNow(host, handle, 'its journal is not readable', report)
          return
        }
        if (!(await isOwn(host, read))) {
          await removeUnknownNow(host, handle, 'its journal is of another container', report)
          return
        }
        const entry = entryOf(read, socketPath(host, read.state.slot))
        const reached = await reach(host, entry)
        host.slots.claim(entry.state.slot)
        host.addresses?.claim(entry.state.address, entry.state.subnet)
        if (typeof reached === 'string') {
          if (await isRemovedNow(host, entry)) report.removed.push({ handle, why: reached })
          else pending.push(entry)
          return
        }
        await adoptPeas(host, entry)
        entries.push({ entry, shim: reached })
        report.adopted.push(handle)
      }),
    ),
  )
  return { entries, pending, report }
}

/** Whether the shim that an entry names serves that entry: a folder may have been copied. */
async function isOwn(host: Host, { handle, state }: DepotEntry): Promise<boolean> {
  if (state.bootId !== host.bootId || state.shim === null || !(await isAlive(state.shim))) return true
  return shimFolder(state.shim.pid) === host.depot.folder(handle)
}

/** One that does not end must not keep the others waiting. */
async function isRemovedNow(host: Host, entry: Entry): Promise<boolean> {
  try {
    entry.state.step = 'destroying'
    await removeContainer(host, entry, REMOVE_TIMEOUT_MS)
    return true
  } catch (error) {
    host.logger.warn('container-destroy-pending', { handle: entry.handle, why: messageOf(error) })
    return false
  }
}

/** Without a journal nothing is known that could be listed: what does not go now is tried again at the next start. */
async function removeUnknownNow(host: Host, handle: string, why: string, report: RecoverReport): Promise<void> {
  try {
    await removeUnknown(host, handle, REMOVE_TIMEOUT_MS)
    report.removed.push({ handle, why })
  } catch (error) {
    host.logger.error('container-not-removed', { handle, why: messageOf(error) })
  }
}

/** Removes what bears the home's index and belongs to no container: cgroups, shims, links, runc's state, sockets. */
export async function sweep(host: Host, { entries: adopted, pending, report }: Readopted): Promise<void> {
  const entries = [...adopted.map(({ entry }) => entry), ...pending]
  const known = new Set(entries.map((entry) => entry.handle))
  const peas = entries.flatMap((entry) => [...entry.peas.values()].map((pea) => ({ entry, pea })))
  const folders = new Set([
    ...entries.map((entry) => host.depot.folder(entry.handle)),
    ...peas.map(({ entry, pea }) => peaFolder(host, entry.handle, pea.id)),
  ])
  const groups = new Set(peas.map(({ entry, pea }) => ownGroup(entry, pea)))
  for (const group of await host.cgroups.ownGroups()) {
    if (groups.has(group)) continue
    await emptyCgroup(host.cgroups, group)
    await host.cgroups.remove(group)
  }
  for (const handle of await host.cgroups.list()) {
    if (known.has(handle)) continue
    await removeUnknownNow(host, handle, 'it has a cgroup but no journal', report)
  }
  const shims = new Set([...entries, ...peas.map(({ pea }) => pea)].map(({ state }) => state.shim?.pid))
  for (const pid of await host.cgroups.shims()) {
    if (shims.has(pid)) continue
    const identity = await identify(pid)
    if (identity !== null && !folders.has(shimFolder(pid) ?? '')) await endProcess(identity)
  }
  const slots = [...entries.map(({ state }) => state.slot), ...host.drains.links]
  const links = new Set(slots.map((slot) => linkName(host.names, slot)))
  for (const link of await listLinks(host.names)) if (!links.has(link)) await deleteLink(link)
  const sockets = new Set([...entries, ...peas.map(({ pea }) => pea)].map(({ client }) => client.socketPath))
  await removeOthers(host.options.runDir, (path) => sockets.has(path) || !path.endsWith('.sock'))
  const runcIds = new Set([
    ...[...known].map(runcId),
    ...peas.map(({ entry, pea }) => peaRuncId(entry, pea.state.number)),
  ])
  await removeOthers(host.options.runcRoot, (_path, name) => runcIds.has(name) || isGoing(name))
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
