import type { ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CommandFailed, messageOf, run, start } from '@croft/kit'

const GIT_ENV = {
  PATH: '/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@localhost',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@localhost',
}

/** What a command of git came to. */
export interface Pushed {
  code: number
  /** Everything git said. */
  output: string
  /** What the platform said, without `remote: `. */
  lines: string[]
}

/** A folder of a person who pushes. */
export class Clone {
  constructor(readonly folder: string) {}

  write(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, name)), { recursive: true })
      writeFileSync(join(this.folder, name), text)
    }
  }

  async git(...args: string[]): Promise<Pushed> {
    return command(['git', ...args], this.folder)
  }

  async commit(message: string): Promise<string> {
    await this.git('add', '-A')
    await this.git('commit', '-q', '--allow-empty', '-m', message)
    return (await this.git('rev-parse', 'HEAD')).output.trim()
  }

  /** Changes one file, commits it and gives the commit. */
  async change(text: string = String(Math.random())): Promise<string> {
    this.write({ 'server.js': text })
    return this.commit('change')
  }

  async push(...refs: string[]): Promise<Pushed> {
    return this.git('push', 'croft', ...(refs.length === 0 ? ['main'] : refs))
  }

  /** A push somebody may leave: all its processes are in one group. */
  startPush(...args: string[]): ChildProcess {
    return start('git', ['push', 'croft', ...args], { cwd: this.folder, env: GIT_ENV, detached: true })
  }
}

/** Ends a push as Ctrl-C or a dropped connection would: every process of it at once. */
export function leave(pushing: ChildProcess): void {
  if (pushing.pid !== undefined) process.kill(-pushing.pid, 'SIGKILL')
}

/** Runs a command of the person who pushes. */
export async function command(argv: string[], cwd = '/', input?: string | Buffer): Promise<Pushed> {
  const [name = '', ...args] = argv
  let output = ''
  const options = {
    cwd,
    env: GIT_ENV,
    timeoutMs: 45_000, // well below a spec's time, which then shows what was said until then
    onOutput: (chunk: Buffer) => (output += chunk.toString()),
    ...(input !== undefined && { input }),
  }
  const code = await run(name, args, options).then(
    () => 0,
    (error: unknown) => {
      if (error instanceof CommandFailed && error.exitCode !== null) return error.exitCode
      output += `\n${messageOf(error)}`
      return -1
    },
  )
  const lines = output
    .split('\n')
    .filter((line) => line.startsWith('remote: '))
    .map((line) => line.slice('remote: '.length).trimEnd())
  return { code, output, lines }
}
