import type { Command } from 'commander'
import { ApiClient } from './client/api-client.js'
import { findPlatform, type PlatformAddress } from './client/find-platform.js'
import { appOfFolder } from './client/git-remote.js'
import { UsageError } from './usage.js'

/** What every verb that talks to a platform takes. */
export interface VerbOptions {
  home?: string
  json?: boolean
  app?: string
}

/** What a verb works with. */
export interface VerbContext {
  api: ApiClient
  platform: PlatformAddress
  /** Aborts on Ctrl-C. */
  signal: AbortSignal
}

/** Adds `--home` and `--json`. */
export function platformVerb(command: Command): Command {
  return command
    .option('--home <dir>', 'home of a platform on this host (CROFT_HOME)')
    .option('--json', 'print JSON for scripts')
}

/** Adds `-a APP` as well; without it the app is the one this folder is pushed to. */
export function appVerb(command: Command): Command {
  return platformVerb(command).option('-a, --app <app>', 'the app; default: the one this folder is pushed to')
}

/** Runs a verb against its platform and closes what it opened. Ctrl-C aborts what it waits for. */
export async function withPlatform(options: VerbOptions, work: (context: VerbContext) => Promise<void>): Promise<void> {
  const platform = await findPlatform(options)
  const api = new ApiClient(platform.url, platform.token)
  const stop = new AbortController()
  const onInterrupt = (): void => stop.abort(new Error('interrupted'))
  process.once('SIGINT', onInterrupt)
  try {
    await work({ api, platform, signal: stop.signal })
  } catch (error) {
    if (!stop.signal.aborted) throw error
    process.exitCode = 130
  } finally {
    process.off('SIGINT', onInterrupt)
    await api.close()
  }
}

/** The same for a verb about one app; `named` is an app given as argument. @throws UsageError when none is named */
export async function withApp(
  options: VerbOptions,
  named: string | undefined,
  work: (context: VerbContext & { app: string }) => Promise<void>,
): Promise<void> {
  await withPlatform(options, async (context) => {
    if (named !== undefined && options.app !== undefined && named !== options.app) {
      throw new UsageError(`two apps are named: ${named} and ${options.app}`)
    }
    const app = named ?? options.app ?? (await appOfFolder(context.platform.url))
    if (app === undefined) {
      throw new UsageError('no app is named, and this folder is pushed to none on this platform', 'add -a APP')
    }
    await work({ ...context, app })
  })
}

/** The API path of an app or of something of it. */
export function appPath(app: string, rest = ''): string {
  return `/apps/${encodeURIComponent(app)}${rest}`
}
