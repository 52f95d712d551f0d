import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { CroftError, errnoOf } from '@croft/kit'
import { RUN_ROOT } from '../platform/run-folder.js'
import { isAlive, processRef } from './process-ref.js'

/** Somebody else is starting or stopping the same home. */
export class HomeBusy extends CroftError {
  constructor(home: string, pid: number) {
    super({
      code: 'home-busy',
      status: 409,
      title: `another \`croft up\` or \`croft down\` is at work on ${home} (pid ${pid})`,
      suggestion: 'wait until it is done',
    })
  }
}

/**
 * Does something with a home that two may not do at once. A lock whose process is gone is nobody's.
 * @throws HomeBusy
 */
export async function withHomeLock<T>(home: string, work: () => Promise<T>, run = RUN_ROOT): Promise<T> {
  mkdirSync(run, { recursive: true, mode: 0o755 }) // each by itself: a mode counts for all that is made
  const locks = join(run, 'locks')
  mkdirSync(locks, { recursive: true, mode: 0o700 })
  const file = join(locks, createHash('sha256').update(home).digest('hex').slice(0, 16))
  takeLock(file, home)
  try {
    return await work()
  } finally {
    rmSync(file, { force: true })
  }
}

function takeLock(file: string, home: string): void {
  const me = processRef(process.pid)
  for (;;) {
    try {
      const lock = openSync(file, 'wx', 0o600)
      writeSync(lock, `${process.pid} ${me?.startTime ?? ''}`)
      closeSync(lock)
      return
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
    const [pid = '', startTime = ''] = readLock(file).split(' ')
    if (pid !== '' && isAlive({ pid: Number(pid), startTime })) throw new HomeBusy(home, Number(pid))
    rmSync(file, { force: true })
  }
}

function readLock(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  }
}
