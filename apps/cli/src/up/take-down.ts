import { rmSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanHome, readDepot, releaseHomeIndex } from '@croft/backend-linux'
import { CroftError, errnoOf, systemClock } from '@croft/kit'
import { isOfInstance } from '@croft/protocol'
import { findLocalPlatform } from '../platform/local-platform.js'
import { runFolder } from '../platform/run-folder.js'
import {
  countElsewhere,
  gardenOf,
  removeContainersElsewhere,
  removeContainersOf,
  stopContainers,
} from './containers.js'
import { readPidFile } from './pid-file.js'
import { isAlive } from './process-ref.js'
import { endProcess } from './supervisor.js'

/** The supervisor ends its components one after the other; this is longer than all of them may take. */
const SUPERVISOR_STOP_TIMEOUT_MS = 60_000
/** Dependents first. HAProxy is not among them: it stays while apps are to stay. */
const STOP_ORDER = ['executor', 'router', 'controller', 'redis', 'postgres'] as const
const STOP_SIGNAL: Partial<Record<string, NodeJS.Signals>> = { postgres: 'SIGINT' }

/** Whether a supervisor of this home runs. */
export async function isSupervised(home: string): Promise<boolean> {
  const platform = await findLocalPlatform(home)
  return platform !== undefined && isAlive(platform.state.supervisor)
}

/** Whether anything of the home is on this host: processes, containers or at least its reserved index. */
export async function hasTraces(home: string): Promise<boolean> {
  return (await recordedIndex(home)) !== undefined
}

/** Ends the supervisor and its components; HAProxy and the apps go on serving. */
export async function stopComponents(home: string): Promise<void> {
  const k = await recordedIndex(home)
  if (k === undefined) return
  const platform = await findLocalPlatform(home)
  if (platform !== undefined && isAlive(platform.state.supervisor)) {
    await endProcess(
      platform.state.supervisor,
      { stopSignal: 'SIGTERM', stopTimeoutMs: SUPERVISOR_STOP_TIMEOUT_MS },
      systemClock,
    )
  }
  for (const name of STOP_ORDER) await endRecorded(k, name)
}

/**
 * Removes what `stopComponents` left: HAProxy, apps, every trace of the home on the host. Its data stays. Says what could not be
 * removed: containers in a container API of another process that is away.
 */
export async function removeApps(home: string): Promise<string | null> {
  const k = await recordedIndex(home)
  if (k === undefined) return null
  const run = runFolder(k)
  await endRecorded(k, 'haproxy')
  const isElsewhere = (await gardenOf(home)) !== null
  const left = isElsewhere ? await removeElsewhere(home, k) : null
  if (!isElsewhere && (await ownCount(home)) > 0) await stopContainers(home, k)
  await cleanHome({
    index: k,
    depotDir: depotOf(home),
    runDir: join(run, 'containers'),
    runcRoot: join(run, 'runc'),
  })
  await rm(run, { recursive: true, force: true })
  await releaseHomeIndex(home)
  return left
}

async function removeElsewhere(home: string, k: number): Promise<string | null> {
  const address = (await gardenOf(home))?.address
  try {
    await removeContainersElsewhere(home, k)
    return null
  } catch (error) {
    if (!(error instanceof CroftError)) throw error
    return `containers at ${address} could not be removed (${error.message}): \`./croft up --garden ${address}\` takes them up once it answers`
  }
}

/** After `stopComponents`: removes the containers of some instances; the others go on serving. */
export async function removeInstances(home: string, instances: readonly string[]): Promise<void> {
  const k = await recordedIndex(home)
  if (k !== undefined && instances.length > 0) await removeContainersOf(home, k, new Set(instances))
}

/** How many instances have a container of the home, running or not: one that was made ahead is nobody's. */
export async function instanceCount(home: string): Promise<number> {
  const k = await recordedIndex(home)
  const own = (await readDepot(depotOf(home))).filter(({ properties }) => isOfInstance(properties))
  return own.length + (k === undefined ? 0 : await countElsewhere(home, k))
}

const depotOf = (home: string): string => join(home, 'node/containers')

async function ownCount(home: string): Promise<number> {
  try {
    return (await readdir(depotOf(home))).length
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0
    throw error
  }
}

async function endRecorded(k: number, name: string): Promise<void> {
  const file = join(runFolder(k), 'pids', `${name}.json`)
  const ref = readPidFile(file)
  if (ref === undefined) return
  await endProcess(ref, { stopSignal: STOP_SIGNAL[name] ?? 'SIGTERM', stopTimeoutMs: 15_000 }, systemClock)
  rmSync(file, { force: true })
}

/** The index the home recorded under this boot; after a reboot nothing of it is left, and the number may be another's. */
async function recordedIndex(home: string): Promise<number | undefined> {
  try {
    const [k, boot] = (await readFile(join(home, 'k'), 'utf8')).trim().split(' ')
    const now = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    return boot === now && k !== undefined ? Number.parseInt(k, 10) : undefined
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
