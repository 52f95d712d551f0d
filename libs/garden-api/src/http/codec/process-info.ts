import type { ProcessExit, ProcessInfo } from '../../types.js'
import { bool, decodeOrRefuse, integer, list, object, text, type Decoded, type Decoder } from './fields.js'

/** Processes as `GET …/processes` lists them, and how one ended. Times are ISO 8601, as in Go. */

const MAX_SIGNAL = 64

export const moment: Decoder<number> = (value, path, problems) => {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (!Number.isNaN(ms)) return ms
  problems.set(path, 'must be a time such as 2026-01-31T12:00:00.000Z')
  return undefined
}
export const toMoment = (ms: number): string => new Date(ms).toISOString()

export const exitFields = {
  exit_status: integer(-(2 ** 31), 2 ** 32),
  signal: integer(0, MAX_SIGNAL),
  oom: bool,
  finished_at: moment,
}

/** What Garden says is the status only: the rest is then unknown. */
export function exitFromWire(wire: Decoded<typeof exitFields>, nowMs: number): ProcessExit {
  return {
    exitCode: wire.exit_status ?? 0,
    signal: wire.signal ?? null,
    isOutOfMemory: wire.oom ?? false,
    exitedAtMs: wire.finished_at ?? nowMs,
  }
}

export function exitToWire(exit: ProcessExit): Record<string, unknown> {
  return {
    exit_status: exit.exitCode,
    signal: exit.signal,
    oom: exit.isOutOfMemory,
    finished_at: toMoment(exit.exitedAtMs),
  }
}

export function processInfoToWire(info: ProcessInfo): Record<string, unknown> {
  return {
    id: info.id,
    pid: info.pid,
    state: info.state,
    started_at: toMoment(info.startedAtMs),
    exit: info.exit === null ? null : exitToWire(info.exit),
  }
}

const answer = object({
  processes: list(
    object({ id: text(), pid: integer(0, 2 ** 31), state: text(), started_at: moment, exit: object(exitFields) }),
  ),
})

/** @throws InvalidSpecError when a server answers something else */
export function decodeProcessInfos(json: unknown): ProcessInfo[] {
  const wire = decodeOrRefuse('processes', (value, problems) => answer(value, '', problems), json)
  return (wire.processes ?? []).map((one) => {
    const exit = one.exit === undefined ? null : exitFromWire(one.exit, one.started_at ?? 0)
    return {
      id: one.id ?? '',
      pid: one.pid ?? null,
      state: one.state === 'exited' ? 'exited' : 'running',
      exit,
      startedAtMs: one.started_at ?? 0,
    }
  })
}
