import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bareEnv, CommandFailed, CroftError, run } from '@croft/kit'
import { readOperatorToken, type LocalPlatform } from '../platform/local-platform.js'
import { writeFileWhole } from './write-file-whole.js'

/** The app a new platform gets, so that its first URL answers. */
export const EXAMPLE_APP = 'node-hello'

const markOf = (home: string): string => join(home, 'example-pushed')

/** Whether this home has had its example once; it is not pushed again when a person has removed it. */
export function wasExamplePushed(home: string): boolean {
  return existsSync(markOf(home))
}

/** The example could not be deployed; the platform itself runs. */
export class ExampleFailed extends CroftError {
  constructor(output: string) {
    const cause = /!\s+(\S.*)$/m.exec(output)?.[1] ?? output.trim().split('\n').at(-1) ?? ''
    super({
      code: 'example-failed',
      status: 500,
      title: 'the platform runs, but pushing examples/node-hello failed',
      detail: cause,
      suggestion: 'run ./croft up again, or look at the logs named by ./croft doctor',
    })
  }
}

/**
 * Pushes `examples/node-hello` as any user would: a repository, a commit, `git push`, the token from a credential helper.
 * @throws ExampleFailed
 */
export async function pushExample(platform: LocalPlatform, program: string): Promise<void> {
  const { home, state } = platform
  const work = await mkdtemp(join(tmpdir(), 'croft-example-'))
  try {
    const source = join(work, EXAMPLE_APP)
    await cp(join(program, 'examples', EXAMPLE_APP), source, { recursive: true })
    const credentials = join(work, 'credentials')
    const url = new URL(platform.url)
    await writeFile(credentials, `http://operator:${await readOperatorToken(home)}@${url.host}\n`, { mode: 0o600 })
    const git = async (...args: string[]): Promise<void> => {
      await run('git', ['-C', source, ...args], {
        timeoutMs: 5 * 60_000,
        env: bareEnv({
          HOME: work,
          GIT_CONFIG_NOSYSTEM: '1',
          GIT_TERMINAL_PROMPT: '0',
          GIT_AUTHOR_NAME: 'Croft',
          GIT_AUTHOR_EMAIL: 'croft@localhost',
          GIT_COMMITTER_NAME: 'Croft',
          GIT_COMMITTER_EMAIL: 'croft@localhost',
        }),
      })
    }
    await git('init', '-q', '-b', 'main')
    await git('add', '-A')
    await git('commit', '-q', '-m', 'Say hello')
    await git(
      '-c',
      `credential.helper=store --file=${credentials}`,
      // the name need not be in any DNS yet: the platform is on this host
      '-c',
      `http.curloptResolve=${url.hostname}:${state.settings.httpPort}:127.0.0.1`,
      'push',
      `${platform.url}/${EXAMPLE_APP}.git`,
      'main',
    )
    writeFileWhole(markOf(home), `${new Date().toISOString()}\n`)
  } catch (error) {
    if (error instanceof CommandFailed) throw new ExampleFailed(error.stderr)
    throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
