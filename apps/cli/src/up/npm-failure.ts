import { CroftError, type CommandFailed } from '@croft/kit'

/** npm could not fetch what a platform needs. */
export class NpmFailed extends CroftError {
  constructor(what: string, cause: CommandFailed) {
    super({
      code: 'npm-failed',
      status: 502,
      title: `${what} could not be fetched: ${npmCause(cause.stderr) ?? cause.title}`,
      suggestion: 'check that the npm registry is reachable from here (npm ping)',
      cause,
    })
  }
}

/** npm's reason in one line, of the many it writes to its standard error: the failed request before anything else. Pure. */
export function npmCause(stderr: string): string | undefined {
  const lines = stderr.split('\n').map((line) => line.replace(/^npm (ERR!|error) ?/, '').trim())
  const request = lines.map((line) => /request to \S+ failed.*/.exec(line)?.[0]).find((found) => found !== undefined)
  return request ?? lines.find((line) => line !== '' && !/^(code|syscall|errno) /.test(line))
}

/**
 * Patience of npm with a registry that does not answer: its own would be 70 s of silence. A person's own setting in the
 * environment goes before.
 */
export const NPM_PATIENCE: Readonly<Record<string, string>> = {
  npm_config_fetch_retries: '3',
  npm_config_fetch_retry_mintimeout: '1000',
  npm_config_fetch_retry_maxtimeout: '8000',
}
