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

/** Says `text` and the asker's address to everybody who connects to a TCP port; prints `listening` first. For kernel specs. */
export const serve = (port: number, text: string): ProcessSpec => ({
  path: 'perl',
  args: [
    '-e',
    `$| = 1; socket(S, 2, 1, 0) or die $!; setsockopt(S, 1, 2, 1);
     bind(S, pack('S n x12', 2, $ARGV[0])) or die $!; listen(S, 16); print "listening\n";
     while ($from = accept(C, S)) { @at = unpack('x4 C4', $from); syswrite(C, "$ARGV[1] to " . join('.', @at)); close(C) }`,
    String(port),
    text,
  ],
})

/** Prints what a TCP port says; ends with another code than 0 when it is not reached within a second. For kernel specs. */
export const dial = (host: string, port: number): ProcessSpec => ({
  path: 'timeout',
  args: ['1', 'bash', '-c', 'exec 3<>"/dev/tcp/$1/$2" && cat <&3', 'bash', host, String(port)],
})

export const SIGKILL = 9
export const SIGTERM = 15
