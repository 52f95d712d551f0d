import { readFileSync } from 'node:fs'
import { errnoOf } from '@croft/kit'
import type { ProcessRef } from './process-ref.js'
import { writeFileWhole } from './write-file-whole.js'

/** A component's process as its supervisor noted it in `RUN/pids/<name>.json`, for those that come after it. */
export interface PidRecord extends ProcessRef {
  /** Hash of how it was started. */
  identity: string
}

/** Notes a process. */
export function writePidFile(path: string, record: PidRecord): void {
  writeFileWhole(path, JSON.stringify(record))
}

/** The noted process, or undefined when there is no note or no sense in it. */
export function readPidFile(path: string): PidRecord | undefined {
  try {
    return parsePidRecord(readFileSync(path, 'utf8'))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** By hand, without a schema library: the supervisor stays small. */
function parsePidRecord(text: string): PidRecord | undefined {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) return undefined
  const { pid, startTime, identity } = value as Record<string, unknown>
  if (typeof pid !== 'number' || typeof startTime !== 'string' || typeof identity !== 'string') return undefined
  return { pid, startTime, identity }
}
