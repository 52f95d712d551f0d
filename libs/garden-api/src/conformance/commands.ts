import type { ProcessSpec } from '../types.js'

/**
 * What api specs start: the eight programs of the fixture image, which a fake scripts. `echo`, `cat`, `sleep`, `tee` and `env`
 * are POSIX's; `exit CODE` ends with the code, `spin` runs until it is killed, `trap CODE` prints `ready` and ends with the code
 * when it gets SIGTERM.
 */
export const commands = {
  /** Prints the text and a line end on standard output. */
  echo: (text: string): ProcessSpec => ({ path: 'echo', args: [text] }),
  /** Copies standard input to standard output. */
  cat: (): ProcessSpec => ({ path: 'cat' }),
  /** Prints the file. */
  show: (path: string): ProcessSpec => ({ path: 'cat', args: [path] }),
  exit: (code: number): ProcessSpec => ({ path: 'exit', args: [String(code)] }),
  sleep: (seconds: number): ProcessSpec => ({ path: 'sleep', args: [String(seconds)] }),
  forever: (): ProcessSpec => ({ path: 'spin' }),
  /** Copies standard input to both standard output and standard error. */
  teeToStderr: (): ProcessSpec => ({ path: 'tee', args: ['/dev/stderr'] }),
  env: (): ProcessSpec => ({ path: 'env' }),
  trap: (code: number): ProcessSpec => ({ path: 'trap', args: [String(code)] }),
}

/** A script of the fixture image's shell, for kernel specs. Its arguments are `$1`, `$2`, … */
export const sh = (script: string, ...args: string[]): ProcessSpec & { args: string[] } => ({
  path: '/bin/sh',
  args: ['-c', script, 'sh', ...args],
})

export const SIGKILL = 9
export const SIGTERM = 15
