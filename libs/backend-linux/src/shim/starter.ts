import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { bareEnv, start } from '@croft/kit'
import { ServiceUnavailableError } from '@croft/garden-api'
import { programFrame } from './frames.js'

const LAUNCH_TIMEOUT_MS = 5_000
/** It may have been ended once, by whoever; not each time. */
const ATTEMPTS = 2
/** Kept of what a program complains about, characters. */
const MAX_SAID = 4096
/** Opens a place without what is in it (open(2)); node has no name for it. */
const O_PATH = 0o10000000

/**
 * Starts programs for this process: a role of croft-init that does nothing else. Node copies the tables of all its memory for
 * each program, and stands still for milliseconds meanwhile; a program of a few pages does not. It is started when it is needed
 * first, again when it has gone, and ends with this process however that ends; what it has started lives on. Its socket has no
 * name any more once we hold it.
 */
export class Starter {
  #child: ChildProcess | undefined
  /** Resolves with where its socket is. */
  #launched: Promise<string> | undefined
  #socket: number | undefined
  #isClosed = false

  constructor(
    private readonly program: string,
    private readonly folder: string,
  ) {}

  /**
   * Has a program started. Resolves with its standard output, on which it says `pid N` before anything else; its standard error
   * is appended to a file, or without one comes there too. Should we end before we hear that, it does not begin.
   * @throws ServiceUnavailableError
   */
  async start(argv: readonly string[], logPath: string | null): Promise<Socket> {
    for (let attempt = 1; ; attempt++) {
      if (this.#isClosed) throw new ServiceUnavailableError('this backend is closed')
      const launched = (this.#launched ??= this.#launch())
      try {
        const socket = await connected(await launched)
        socket.write(programFrame(argv, logPath ?? ''))
        return socket
      } catch (error) {
        if (this.#launched === launched) this.#end()
        if (attempt === ATTEMPTS) throw new ServiceUnavailableError('the container shim cannot be started', error)
      }
    }
  }

  /**
   * Has a program started that says nothing when all is well, and waits for its end; one that takes longer goes on alone.
   * @throws ServiceUnavailableError, or what it says
   */
  async run(argv: readonly string[], timeoutMs: number): Promise<void> {
    const socket = await this.start(argv, null)
    let said = ''
    socket.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(0, MAX_SAID)
    })
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      socket.destroy()
    }, timeoutMs).unref()
    await once(socket, 'close')
    clearTimeout(timer)
    if (isLate) throw new Error(`${argv[0]} is not done after ${timeoutMs} ms`)
    const [, complaint = ''] = /^pid \d+\n([^]*)$/.exec(said) ?? ['', 'it did not begin']
    if (complaint !== '') throw new Error(`${argv[0]}: ${complaint.trim()}`)
  }

  /** Lets the program go, and starts none any more. */
  close(): void {
    this.#isClosed = true
    this.#end()
  }

  #end(): void {
    this.#child?.kill('SIGKILL')
    if (this.#socket !== undefined) closeSync(this.#socket)
    this.#child = undefined
    this.#socket = undefined
    this.#launched = undefined
  }

  async #launch(): Promise<string> {
    const path = join(this.folder, `s-${randomBytes(4).toString('hex')}.sock`)
    const child = start(this.program, ['starter', path], {
      cwd: '/',
      env: bareEnv(),
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    })
    this.#child = child
    child.unref()
    child.stdin?.on('error', () => undefined) // it has gone: the next start sees that
    ;(child.stdin as Socket | null)?.unref()
    try {
      await listening(child)
      if (this.#child !== child) throw new Error('it was let go')
      this.#socket = openSync(path, O_PATH | constants.O_NOFOLLOW)
      return `/proc/self/fd/${this.#socket}`
    } finally {
      rmSync(path, { force: true })
    }
  }
}

/** Resolves once the starter says that it listens. */
async function listening(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('it does not listen')), LAUNCH_TIMEOUT_MS)
    const settle = (failure?: Error): void => {
      clearTimeout(timer)
      child.stdout?.destroy()
      if (failure === undefined) resolve()
      else reject(failure)
    }
    child.on('error', settle)
    child.stdout?.once('data', (said: Buffer) => {
      settle(said.toString().startsWith('listening\n') ? undefined : new Error(said.toString().trim()))
    })
    child.stdout?.once('end', () => settle(new Error('it ended at once')))
  })
}

async function connected(path: string): Promise<Socket> {
  const socket = createConnection(path)
  return await new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => undefined) // `close` follows
      resolve(socket)
    })
  })
}
