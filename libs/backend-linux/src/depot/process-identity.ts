import { readFileSync } from 'node:fs'
import { errnoOf, systemClock } from '@croft/kit'
import type { ProcessIdentity } from './journal.js'

/** Start time and state letter from the text of /proc/<pid>/stat; the name in it may hold anything, even `)`. Pure. */
export function parseStat(text: string): { startTicks: number; state: string } | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const startTicks = Number(fields[19])
  return fields[0] === undefined || !Number.isFinite(startTicks) ? null : { state: fields[0], startTicks }
}

/** Read at once: it comes out of the kernel's memory, and a kill should not wait for a turn through the thread pool. */
function readStat(pid: number): { startTicks: number; state: string } | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return null
    throw error
  }
}

/** The identity of a running process, or null when there is none of that number. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  const stat = readStat(pid)
  return stat === null ? null : { pid, startTicks: stat.startTicks }
}

/** Whether the very process still runs; a zombie does not. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const stat = readStat(identity.pid)
  return stat !== null && stat.startTicks === identity.startTicks && stat.state !== 'Z' && stat.state !== 'X'
}

/** Sends a signal to the very process, if it is still there. */
export async function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<void> {
  if (!(await isAlive(identity))) return
  killQuietly(identity.pid, signal)
}

/** kill(2) of one process, where one that has gone is fine. @throws RangeError for what kill(2) takes for many: 0 and less */
export function killQuietly(pid: number, signal: NodeJS.Signals): void {
  if (!(pid > 0)) throw new RangeError(`${pid} is no process`)
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

/** Whether it ended within the time. */
export async function hasEnded(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const end = systemClock.monotonic() + timeoutMs
  while (await isAlive(identity)) {
    if (systemClock.monotonic() > end) return false
    await systemClock.sleep(1)
  }
  return true
}

/** Kills the very process and waits until it is gone. */
export async function endProcess(identity: ProcessIdentity, timeoutMs = 10_000): Promise<void> {
  await signalProcess(identity, 'SIGKILL')
  if (!(await hasEnded(identity, timeoutMs))) throw new Error(`process ${identity.pid} does not end`)
}
