import type { Container } from '@croft/garden-api'
import { bareEnv, run, type Clock } from '@croft/kit'
import { DiskFull, TooManyProcesses } from './failures.js'
import type { RunningBuild } from './running-build.js'

const EVERY_MS = 500
/** Adding up folders takes a while: so often at most, and no more than a fifth of the time. */
const DISK_EVERY_MS = 1_000
const DISK_PAUSE = 4
const DU_TIMEOUT_MS = 30_000

/** Ends a build, with its reason, when it has too much of what `watchLimits` watches, until what it gives is called. */
export function endAtLimits(
  folders: readonly string[],
  containerOf: () => Pick<Container, 'metrics'> | null,
  {
    spec,
    ports,
    stop,
  }: Pick<RunningBuild, 'stop'> & {
    spec: { limits: { diskBytes: number; pids: number } }
    ports: { clock: Clock }
  },
): () => void {
  const over = new AbortController()
  const signal = AbortSignal.any([stop.signal, over.signal])
  watchLimits(folders, containerOf, spec.limits, ports.clock, signal).then(
    (what) => {
      if (!over.signal.aborted) stop.abort(what === 'disk' ? new DiskFull() : new TooManyProcesses())
    },
    () => undefined, // it is over
  )
  return () => over.abort()
}

/**
 * Watches the limits that no kernel ends a build for. Disk: what it writes into its mounts and, as its present container tells, into
 * its root; no quota covers the mounts, and one for the root alone would cost every build 60 ms. Processes: a build that has as many
 * as it may at two looks in a row only fails to start more, for ever. Resolves with what it has too much of; never while it has
 * not, and rejects when `signal` aborts.
 */
async function watchLimits(
  folders: readonly string[],
  containerOf: () => Pick<Container, 'metrics'> | null,
  limits: { diskBytes: number; pids: number },
  clock: Clock,
  signal: AbortSignal,
): Promise<'disk' | 'processes'> {
  let wasFull = false
  let diskAt = clock.monotonic() + DISK_EVERY_MS
  for (;;) {
    await clock.sleep(EVERY_MS, signal)
    const metrics =
      (await containerOf()
        ?.metrics()
        .catch(() => null)) ?? null // it is going away, or the next look tells
    const isFull = metrics !== null && metrics.pids.current >= limits.pids
    if (isFull && wasFull) return 'processes'
    wasFull = isFull
    if (clock.monotonic() < diskAt) continue
    const began = clock.monotonic()
    const bytes = (await usedBytes(folders, signal)) + (metrics?.disk.exclusiveBytes ?? 0)
    if (bytes > limits.diskBytes) return 'disk'
    const now = clock.monotonic()
    diskAt = now + Math.max(DISK_EVERY_MS, (now - began) * DISK_PAUSE)
  }
}

/** Files that go under du's feet are an error to it; it tells the sum of all others. 0 where it tells none. */
async function usedBytes(folders: readonly string[], signal: AbortSignal): Promise<number> {
  let said = ''
  const options = {
    timeoutMs: DU_TIMEOUT_MS,
    signal,
    env: bareEnv({ LC_ALL: 'C' }),
    onOutput: (chunk: Buffer, stream: 'stdout' | 'stderr') => {
      if (stream === 'stdout') said += chunk.toString()
    },
  }
  const what = ['--summarize', '--one-file-system', '--total', '--block-size=1', '--', ...folders]
  await run('du', what, options).catch(() => undefined)
  return totalOf(said)
}

function totalOf(text: string): number {
  return Number(/^(\d+)\s+total$/m.exec(text)?.[1] ?? 0)
}
