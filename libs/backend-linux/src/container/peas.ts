import { failpoint, messageOf, systemClock } from '@croft/kit'
import type { Metrics, ProcessIo, ProcessSpec } from '@croft/garden-api'
import { mergeEnv } from '../containerizer/environment.js'
import type { Entry, Host, Pea } from '../containerizer/host.js'
import { makePea } from '../containerizer/make-pea.js'
import { ownGroup, peaGroup, peaUpper } from '../containerizer/pea-names.js'
import { removePea } from '../containerizer/remove-pea.js'
import type { ShimProcess } from '../shim/client.js'
import type { RunRequest } from '../shim/frames.js'
import { linkName } from '../home/naming.js'
import { readLinkCounters } from '../networker/counters.js'

const REMOVE_ATTEMPTS = 5
const REMOVE_PAUSE_MS = 1_000
const DEFAULT_USER = '0:0'
const DEFAULT_DIR = '/'

/**
 * Makes a sidecar and starts its process; the sidecar goes when that has ended and its output is taken.
 * @throws as `Container.run`, ImageError
 */
export async function startPea(
  host: Host,
  entry: Entry,
  { id, spec, request, io }: { id: string; spec: ProcessSpec; request: RunRequest; io: ProcessIo },
): Promise<ShimProcess> {
  const pea = await makePea(host, entry, id, spec)
  try {
    const env = mergeEnv(pea.state.env, entry.spec.env ?? [], spec.env ?? [])
    const whole = { ...request, env, user: spec.user || DEFAULT_USER, dir: spec.dir || DEFAULT_DIR }
    const process = await pea.client.run(whole, io)
    failpoint('pea-runs')
    void removeWhenEnded(host, entry, pea, process)
    return process
  } catch (error) {
    await removePea(host, entry, pea)
    throw error
  }
}

/** Never rejects. `process`: the connection of who started it, if there is one. */
export async function removeWhenEnded(host: Host, entry: Entry, pea: Pea, process?: ShimProcess): Promise<void> {
  await untilEnded(pea, process)
  for (let attempt = 1; entry.peas.get(pea.id) === pea && entry.state.step === 'created'; attempt++) {
    try {
      await removePea(host, entry, pea)
    } catch (error) {
      host.logger.warn('pea-not-removed', { handle: entry.handle, process: pea.id, why: messageOf(error) })
      if (attempt >= REMOVE_ATTEMPTS) return // with its container, or when the next backend takes over
      await systemClock.sleep(REMOVE_PAUSE_MS)
    }
  }
}

async function untilEnded(pea: Pea, process: ShimProcess | undefined): Promise<void> {
  try {
    if (process !== undefined) {
      await process.exit
      return
    }
  } catch {
    // who started it let go of it, or the shim is gone: that shows next
  }
  try {
    const attached = await pea.client.attach(pea.id, {}, { kind: 'now' })
    attached.unref()
    await attached.exit
  } catch {
    // it has ended, or its shim has
  }
}

/** What a sidecar uses; its network is the container's. */
export async function peaMetrics(host: Host, entry: Entry, pea: Pea): Promise<Metrics> {
  const cgroup = host.cgroups.metrics(peaGroup(entry, pea))
  const network = readLinkCounters(linkName(host.names, entry.state.slot))
  const { usage, ageMs } = await host.usage.read(peaUpper(host, entry, pea))
  const disk = { totalBytes: usage.bytes, exclusiveBytes: usage.bytes, exclusiveInodes: usage.inodes, ageMs }
  return { ...cgroup, network, disk, ageMs: host.now() - pea.state.createdAtMs }
}

/** Cgroups that hold processes of the container: its own, and those of sidecars with limits of their own. */
export function groupsOf(entry: Entry): string[] {
  const own = [...entry.peas.values()].filter((pea) => pea.state.hasOwnLimits)
  return [entry.handle, ...own.map((pea) => ownGroup(entry, pea))]
}
