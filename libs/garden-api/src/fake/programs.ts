import type { Clock } from '@croft/kit'

/** What a fake program sees of the world; it ends by returning its exit code. */
export interface ProgramContext {
  args: readonly string[]
  env: readonly string[]
  clock: Clock
  write(stream: 'stdout' | 'stderr', data: Buffer | string): Promise<void>
  /** The next piece of standard input; null at its end. */
  read(): Promise<Buffer | null>
  file(path: string): Buffer | undefined
  /** Resolves with the number of the next signal; from the first call on, signals no longer end the program. */
  nextSignal(): Promise<number>
  /** Aborted when the process must end. */
  signal: AbortSignal
}

export type FakeProgram = (context: ProgramContext) => Promise<number>

const forever = (context: ProgramContext): Promise<number> =>
  new Promise((resolve) => context.signal.addEventListener('abort', () => resolve(0), { once: true }))

const copy = async (context: ProgramContext, to: readonly ('stdout' | 'stderr')[]): Promise<number> => {
  for (let piece = await context.read(); piece !== null; piece = await context.read())
    for (const stream of to) await context.write(stream, piece)
  return 0
}

/** What every fake container can run: the eight programs of the conformance suite's fixture image. */
export const FAKE_PROGRAMS: Readonly<Record<string, FakeProgram>> = {
  /** Prints its arguments and a line end. */
  echo: async (context) => {
    await context.write('stdout', `${context.args.join(' ')}\n`)
    return 0
  },
  /** Copies the named file, or standard input. */
  cat: async (context) => {
    const [path] = context.args
    if (path === undefined) return await copy(context, ['stdout'])
    const data = context.file(path)
    if (data === undefined) return 1
    await context.write('stdout', data)
    return 0
  },
  exit: async (context) => Number(context.args[0] ?? 0),
  /** Seconds, on the backend's clock. */
  sleep: async (context) => {
    await context.clock.sleep(Number(context.args[0]) * 1000, context.signal)
    return 0
  },
  spin: forever,
  /** Copies standard input to standard output, and to standard error when that is the file it is given. */
  tee: async (context) => await copy(context, context.args[0] === '/dev/stderr' ? ['stdout', 'stderr'] : ['stdout']),
  env: async (context) => {
    await context.write('stdout', context.env.map((line) => `${line}\n`).join(''))
    return 0
  },
  /** Says `ready`, waits for a signal and ends with the code it is told. */
  trap: async (context) => {
    const asked = context.nextSignal()
    await context.write('stdout', 'ready\n')
    await asked
    return Number(context.args[0] ?? 0)
  },
}
