import { spawn as nodeSpawn, type ChildProcess, type SpawnOptions as NodeSpawnOptions } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { CroftError, errnoOf } from './errors.js'

/** The only module of Croft that starts processes: argument vectors, never a shell. */

export interface StartOptions {
  cwd?: string
  /** The whole environment of the child; nothing is inherited unless named here. */
  env?: Record<string, string>
  stdio?: NodeSpawnOptions['stdio']
  /** Its own session, so that it outlives us. */
  detached?: boolean
  uid?: number
  gid?: number
  /** Nobody waits for it: it takes what everybody else leaves of processors and disks. It has a session of its own. */
  isBackground?: boolean
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The environment a child gets when the caller names none: a path, a locale, a home, and nothing else. */
export function bareEnv(extra: Record<string, string> = {}): Record<string, string> {
  return { PATH: DEFAULT_PATH, LANG: 'C.UTF-8', HOME: '/nonexistent', ...extra }
}

/** Starts a process and hands it over; the caller owns its streams and its end. */
export function start(command: string, args: readonly string[], options: StartOptions = {}): ChildProcess {
  const { isBackground = false } = options
  const [program, ...words] = [...(isBackground ? LAST : []), command, ...args]
  const child = nodeSpawn(program ?? command, words, {
    shell: false,
    cwd: options.cwd,
    env: options.env ?? bareEnv(),
    stdio: options.stdio ?? 'pipe',
    detached: options.detached ?? isBackground,
    ...(options.uid !== undefined && { uid: options.uid }),
    ...(options.gid !== undefined && { gid: options.gid }),
  })
  if (isBackground && child.pid !== undefined) putLast(child.pid)
  return child
}

/**
 * The weakest of ordinary processes. Not SCHED_IDLE: that may get nothing at all on a busy host, also while it has a lock that others
 * wait for.
 */
const LAST = ['/usr/bin/nice', '-n', '19', '/usr/bin/ionice', '-c', 'idle'] as const

/** The kernel weighs sessions against each other and niceness only within one, where it groups them (`sched_autogroup`). */
function putLast(session: number): void {
  try {
    writeFileSync(`/proc/${session}/autogroup`, '19')
  } catch (error) {
    const why = errnoOf(error) ?? ''
    // a kernel without them; it has ended; another one was just put last, which who is not root may do ten times a second
    if (!['ENOENT', 'ESRCH', 'EAGAIN'].includes(why)) throw error
  }
}

export interface RunOptions extends Omit<StartOptions, 'stdio' | 'detached'> {
  /** Written to standard input, then closed. */
  input?: string | Buffer | Readable
  /** The process is killed (SIGKILL) after this long. */
  timeoutMs: number
  signal?: AbortSignal
  /** Bytes of each stream kept; more fails the run. Default 16 MiB. */
  maxOutputBytes?: number
  /** Called with each piece of output as it comes. */
  onOutput?: (chunk: Buffer, stream: 'stdout' | 'stderr') => void
}

export interface RunResult {
  stdout: Buffer
  stderr: Buffer
}

/** A process that could not start, failed, was killed, or said too much. */
export class CommandFailed extends CroftError {
  constructor(
    readonly command: string,
    readonly args: readonly string[],
    readonly exitCode: number | null,
    readonly signal: string | null,
    readonly stderr: string,
    why?: string,
    cause?: unknown,
  ) {
    const how = why ?? (signal === null ? `exit code ${exitCode}` : `killed by ${signal}`)
    super({
      code: 'command-failed',
      status: 500,
      title: `${command} ${args[0] ?? ''}`.trim() + ` failed (${how})`,
      detail: stderr.trim().slice(-2000),
      cause,
    })
  }
}

/** With what it has started, which nobody else would end. */
function killSession({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error // it has ended by itself
  }
}

const DEFAULT_MAX_OUTPUT_BYTES = 16 * 1024 * 1024

/**
 * Runs a process to its end.
 * @throws CommandFailed on a start failure, exit code other than 0, signal, time-out or too much output.
 */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = start(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] })
    const kept: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] }
    const size = { stdout: 0, stderr: 0 }
    const limit = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES
    let why: string | undefined
    const kill = (reason: string): void => {
      why ??= reason
      if (options.isBackground === true) killSession(child)
      else child.kill('SIGKILL')
    }
    const timer = setTimeout(() => kill(`timed out after ${options.timeoutMs} ms`), options.timeoutMs)
    const onAbort = (): void => kill('canceled')
    if (options.signal?.aborted === true) onAbort()
    options.signal?.addEventListener('abort', onAbort, { once: true })
    const settle = (): void => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
    }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (chunk: Buffer) => {
        size[name] += chunk.length
        if (size[name] > limit) return kill(`more than ${limit} bytes of output`)
        kept[name].push(chunk)
        options.onOutput?.(chunk, name)
      })
    }
    child.on('error', (error) => {
      settle()
      reject(new CommandFailed(command, args, null, null, '', error.message, error))
    })
    child.on('close', (exitCode, signal) => {
      settle()
      const stderr = Buffer.concat(kept.stderr)
      if (exitCode === 0 && why === undefined) return resolve({ stdout: Buffer.concat(kept.stdout), stderr })
      reject(new CommandFailed(command, args, exitCode, signal, stderr.toString(), why))
    })
    child.stdin?.on('error', () => undefined) // the exit code says why it stopped reading
    if (options.input === undefined) child.stdin?.end()
    else if (typeof options.input === 'string' || Buffer.isBuffer(options.input)) child.stdin?.end(options.input)
    else if (child.stdin !== null) options.input.pipe(child.stdin)
  })
}
