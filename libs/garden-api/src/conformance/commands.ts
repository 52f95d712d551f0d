import type { ProcessSpec } from '../types.js'

/** The processes the suite starts, so that a backend without a shell can offer its own. */
export interface Commands {
  /** Prints the text and a line end on standard output. */
  echo(text: string): ProcessSpec
  /** The same on standard error. */
  complain(text: string): ProcessSpec
  /** Copies standard input to standard output. */
  cat(): ProcessSpec
  /** Prints the file. */
  show(path: string): ProcessSpec
  exit(code: number): ProcessSpec
  /** Runs until it is killed. */
  forever(): ProcessSpec
  /** Prints `ready`, then ends with the code when it gets SIGTERM. */
  trap(code: number): ProcessSpec
  env(): ProcessSpec
}

const shell = (script: string, ...args: string[]): ProcessSpec => ({
  path: '/bin/sh',
  args: ['-c', script, 'sh', ...args],
})

/** For a root with a POSIX shell and `cat`, `sleep` and `env`. */
export const shellCommands: Commands = {
  echo: (text) => shell('printf "%s\\n" "$1"', text),
  complain: (text) => shell('printf "%s\\n" "$1" >&2', text),
  cat: () => ({ path: 'cat' }),
  show: (path) => ({ path: 'cat', args: [path] }),
  exit: (code) => shell(`exit ${code}`),
  forever: () => ({ path: 'sleep', args: ['1000000'] }),
  trap: (code) => shell(`trap 'exit ${code}' TERM; echo ready; while :; do sleep 0.05; done`),
  env: () => ({ path: 'env' }),
}

/** For the fake's programs. */
export const fakeCommands: Commands = {
  echo: (text) => ({ path: 'echo', args: [text] }),
  complain: (text) => ({ path: 'complain', args: [text] }),
  cat: () => ({ path: 'cat' }),
  show: (path) => ({ path: 'cat', args: [path] }),
  exit: (code) => ({ path: 'exit', args: [String(code)] }),
  forever: () => ({ path: 'spin' }),
  trap: (code) => ({ path: 'trap', args: [String(code)] }),
  env: () => ({ path: 'env' }),
}
