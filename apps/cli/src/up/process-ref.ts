import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { errnoOf } from '@croft/kit'

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessRef {
  pid: number
  /** Field 22 of /proc/<pid>/stat: clock ticks after boot. */
  startTime: string
}

/** The state letter and start time of a `/proc/<pid>/stat` line; the name in it may hold spaces and brackets. Pure. */
export function parseStat(text: string): { state: string; startTime: string } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' }
}

/** The process with this pid, or undefined when there is none or only its corpse. */
export function processRef(pid: number): ProcessRef | undefined {
  try {
    const { state, startTime } = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    return state === 'Z' || state === 'X' ? undefined : { pid, startTime }
  } catch {
    return undefined
  }
}

/** Whether that very process still runs. */
export function isAlive(ref: ProcessRef): boolean {
  return processRef(ref.pid)?.startTime === ref.startTime
}

/** Signals that very process; false when it is gone. */
export function signalProcess(ref: ProcessRef, signal: NodeJS.Signals): boolean {
  if (!isAlive(ref)) return false
  try {
    process.kill(ref.pid, signal)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return false
    throw error
  }
}

/** Bytes of memory the process holds (RSS), or null when it is gone. */
export async function rssBytes(pid: number): Promise<number | null> {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kibibytes === undefined ? null : Number(kibibytes) * 1024
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return null
    throw error
  }
}
