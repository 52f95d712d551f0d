import type { Socket } from 'node:net'
import { join } from 'node:path'
import { ServiceUnavailableError } from '@croft/garden-api'
import { identify, signalProcess } from '../depot/process-identity.js'
import type { ProcessIdentity } from '../depot/journal.js'
import type { Starter } from './starter.js'

const READY_TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 4096

export interface StartedShim {
  shim: ProcessIdentity
  init: ProcessIdentity
}

/** The process id that is said first; null when something else is. Pure. */
export function parsePid(text: string): number | null {
  const pid = /^pid (\d+)\n/.exec(text)?.[1]
  return pid === undefined ? null : Number(pid)
}

/** What a shim said on its way up, behind its process id. Pure. */
export function parseAnswer(text: string): { kind: 'ready'; pid: number } | { kind: 'error'; why: string } {
  const line = text.replace(/^pid \d+\n/, '').split('\n')[0] ?? ''
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
  starter: Starter,
  argv: readonly [program: string, ...args: string[]],
  folder: string,
  onSpawn: (shim: ProcessIdentity) => Promise<void>,
): Promise<StartedShim> {
  const socket = await starter.start(argv, join(folder, 'shim.log'))
  const said = new Said(socket)
  const timer = setTimeout(() => {
    socket.destroy(new ServiceUnavailableError(`the container did not stand within ${READY_TIMEOUT_MS} ms`))
  }, READY_TIMEOUT_MS)
  let shim: ProcessIdentity | null = null
  try {
    const pid = parsePid(await said.lines(1))
    shim = pid === null ? null : await identify(pid)
    if (shim !== null) await onSpawn(shim)
    const answer = parseAnswer(await said.lines(2))
    if (answer.kind === 'error') throw new ServiceUnavailableError(`the container could not be made: ${answer.why}`)
    const init = await identify(answer.pid)
    if (shim === null || init === null) throw new ServiceUnavailableError('the container ended while it was made')
    return { shim, init }
  } catch (error) {
    if (shim !== null) await signalProcess(shim, 'SIGKILL')
    throw error
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

/** The text that comes by a connection. */
class Said {
  #text = ''
  #isOver = false
  #failure: Error | undefined
  #wake = (): void => undefined

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString()
      this.#wake()
    })
    socket.on('error', (error) => (this.#failure = error))
    socket.once('close', () => {
      this.#isOver = true
      this.#wake()
    })
  }

  /** All of it, once it has so many lines, is too long, or ends. @throws why the connection was given up */
  async lines(count: number): Promise<string> {
    const isEnough = (): boolean => this.#text.split('\n').length > count || this.#text.length > MAX_ANSWER_BYTES
    while (!this.#isOver && !isEnough()) await new Promise<void>((resolve) => (this.#wake = resolve))
    if (this.#failure instanceof ServiceUnavailableError) throw this.#failure
    return this.#text
  }
}
