import { once } from 'node:events'
import {
  ProcessNotFoundError,
  type AttachFrom,
  type Process,
  type ProcessExit,
  type ProcessIo,
} from '@croft/garden-api'
import { readExit, readKeptLog } from '../shim/logs.js'

/**
 * A process that has ended, for somebody who attaches late: what is kept of its output from the asked place on, then its
 * exit. Waiting ends once the output is taken.
 */
export function replayFinished(id: string, folder: string, io: ProcessIo, from: AttachFrom): Process {
  const letGo = new AbortController()
  const replayed = Promise.all(
    (['stdout', 'stderr'] as const).map(async (stream) => await replay(folder, stream, io, from, letGo.signal)),
  )
  replayed.catch(() => undefined) // whoever waits hears of it
  const gone = async (): Promise<never> => {
    throw new ProcessNotFoundError(id)
  }
  return {
    id,
    wait: async (signal): Promise<ProcessExit> => {
      signal?.throwIfAborted()
      await replayed
      const exit = readExit(folder)
      if (exit === null) throw new ProcessNotFoundError(id)
      return exit
    },
    signal: gone,
    resize: gone,
    detach: () => letGo.abort(),
  }
}

async function replay(
  folder: string,
  stream: 'stdout' | 'stderr',
  io: ProcessIo,
  from: AttachFrom,
  letGo: AbortSignal,
): Promise<void> {
  const to = io[stream]
  if (to === undefined || from.kind === 'now') return
  const kept = await readKeptLog(folder, stream, from.kind === 'offset' ? (from[stream] ?? 0) : 0)
  const skipped = from.kind === 'tail' ? Math.max(0, kept.data.length - from.bytes) : 0
  const dropped =
    from.kind === 'tail' ? Math.min(kept.droppedBytes, from.bytes - (kept.data.length - skipped)) : kept.droppedBytes
  if (dropped > 0) io.onDropped?.(stream, dropped)
  if (letGo.aborted || to.destroyed || to.writableEnded) return
  if (kept.data.length > skipped && !to.write(kept.data.subarray(skipped))) {
    await Promise.race(
      ['drain', 'close'].map(async (event) => await once(to, event, { signal: letGo }).catch(() => undefined)),
    )
  }
}
