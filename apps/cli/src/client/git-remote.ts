import { bareEnv, CommandFailed, run } from '@croft/kit'

const TIMEOUT_MS = 5_000

/** Runs git in the current folder as the person would. @throws CommandFailed */
export async function git(...args: string[]): Promise<string> {
  const home = process.env['HOME']
  const { stdout } = await run('git', args, {
    cwd: process.cwd(),
    timeoutMs: TIMEOUT_MS,
    env: bareEnv({
      ...(home !== undefined && { HOME: home }),
      ...(process.env['PATH'] !== undefined && { PATH: process.env['PATH'] }),
      GIT_TERMINAL_PROMPT: '0',
    }),
  })
  return stdout.toString()
}

/** The app the current folder is pushed to on this platform; undefined outside a repository and without such a remote. */
export async function appOfFolder(platformUrl: string): Promise<string | undefined> {
  try {
    return appOfRemotes(await git('config', '--get-regexp', '^remote\\..*\\.url$'), platformUrl)
  } catch (error) {
    if (error instanceof CommandFailed) return undefined
    throw error
  }
}

/**
 * The app among `git config --get-regexp '^remote\..*\.url$'`: of the remote named `croft` when it leads to this platform, else
 * of the only other one that does. Pure.
 */
export function appOfRemotes(listing: string, platformUrl: string): string | undefined {
  const found = listing.split('\n').flatMap((line) => {
    const match = /^remote\.(.+)\.url (.+)$/.exec(line)
    const app = match?.[2] === undefined ? undefined : appOfUrl(match[2], platformUrl)
    return app === undefined || match?.[1] === undefined ? [] : [{ remote: match[1], app }]
  })
  const apps = new Set(found.map(({ app }) => app))
  return found.find(({ remote }) => remote === 'croft')?.app ?? (apps.size === 1 ? found[0]?.app : undefined)
}

function appOfUrl(url: string, platformUrl: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const parsed = new URL(url)
  if (parsed.host !== new URL(platformUrl).host) return undefined
  return /^\/([a-z][a-z0-9-]*?)(?:\.git)?\/?$/.exec(parsed.pathname)?.[1]
}
