import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { bareEnv, start } from '@croft/kit'
import { ServiceUnavailableError } from '@croft/garden-api'
import { identify } from '../depot/process-identity.js'
import type { ProcessIdentity } from '../depot/journal.js'

const READY_TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 4096

export interface StartedShim {
  shim: ProcessIdentity
  init: ProcessIdentity
}

/** What a shim said on its way up. Pure. */
export function parseAnswer(text: string): { kind: 'ready'; pid: number } | { kind: 'error'; why: string } {
  const line = text.split('\n')[0] ?? ''
  const ready = /^ready (\d+)$/.exec(line)
  if (ready !== null) return { kind: 'ready', pid: Number(ready[1]) }
  return { kind: 'error', why: line.startsWith('error ') ? line.slice(6) : 'the shim ended without a word' }
}

/**
 * Starts a shim in its own session and waits until the container stands. `onSpawn` hears of its process id at once, so that
 * a crash in between leaves no shim that nobody knows.
 * @throws ServiceUnavailableError with the shim's own words
 */
export async function startShim(
  shimPath: string,
  args: readonly string[],
  folder: string,
  onSpawn: (shim: ProcessIdentity) => Promise<void>,
): Promise<StartedShim> {
  const log = await open(join(folder, 'shim.log'), 'a', 0o600)
  const child = start(shimPath, args, { cwd: '/', env: bareEnv(), stdio: ['ignore', 'pipe', log.fd], detached: true })
  try {
    const answered = readAnswer(child)
    answered.catch(() => undefined) // awaited below, after the journal
    const shim = child.pid === undefined ? null : await identify(child.pid)
    if (shim !== null) await onSpawn(shim)
    const answer = parseAnswer(await answered)
    if (answer.kind === 'error') throw new ServiceUnavailableError(`the container could not be made: ${answer.why}`)
    const init = await identify(answer.pid)
    if (shim === null || init === null) throw new ServiceUnavailableError('the container ended while it was made')
    return { shim, init }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  } finally {
    child.stdout?.destroy()
    child.unref()
    await log.close()
  }
}

function readAnswer(child: ReturnType<typeof start>): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(
      () => reject(new ServiceUnavailableError(`the container did not stand within ${READY_TIMEOUT_MS} ms`)),
      READY_TIMEOUT_MS,
    )
    const done = (): void => {
      clearTimeout(timer)
      resolve(text)
    }
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(new ServiceUnavailableError('the container shim cannot be started', error))
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes('\n') || text.length > MAX_ANSWER_BYTES) done()
    })
    child.stdout?.on('close', done)
  })
}
