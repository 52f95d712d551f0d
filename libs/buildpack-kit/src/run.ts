import { spawn } from 'node:child_process'
import { didWork } from './work.js'

export interface Ran {
  exitCode: number | null
  /** The end of what it said, at most 8 MiB of each. */
  stdout: string
  stderr: string
}

const KEPT = 8 * 1024 * 1024

/** Runs a program to its end; `isShown` passes its output on as it comes. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd: string; env: Record<string, string>; shows?: 'all' | 'errors' },
): Promise<Ran> {
  didWork()
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: options.cwd, env: options.env, stdio: ['ignore', 'pipe', 'pipe'] })
    const ran: Ran = { exitCode: null, stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      ran.stdout = (ran.stdout + text).slice(-KEPT)
      if (options.shows === 'all') process.stdout.write(text)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      ran.stderr = (ran.stderr + text).slice(-KEPT)
      if (options.shows !== undefined) process.stdout.write(text)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ ...ran, exitCode: code ?? (signal === null ? null : 128) }))
  })
}
