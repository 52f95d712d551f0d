import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { CommandFailed, CroftError } from '@croft/kit'
import { git } from '../client/git-remote.js'
import { credentialHelper } from '../credential.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { platformVerb, withPlatform, type VerbOptions } from '../verb.js'

interface RemoteOptions extends VerbOptions {
  app?: string
  remote: string
}

/** `croft git:remote APP`: the remote, and a credential helper, so that no token is ever part of a URL. */
export function register(program: Command): void {
  const command = program
    .command('git:remote')
    .description('make this folder push to an app: sets the remote and a credential helper')
    .argument('[app]', 'the app; it need not exist yet')
    .option('-a, --app <app>', 'the same, as other verbs take it')
    .option('-r, --remote <name>', 'name of the remote', 'croft')
  platformVerb(command).action((named: string | undefined, options: RemoteOptions) =>
    withPlatform(options, async ({ platform }) => {
      const app = named ?? options.app
      if (app === undefined) throw new UsageError('the app is not named', 'croft git:remote APP')
      if (options.remote.startsWith('-')) throw new UsageError(`${options.remote} is not a name of a remote`)
      if (!/^[a-z][a-z0-9-]*$/.test(app)) throw new UsageError(`${app} is not a name of an app`)
      await requireRepository()
      const url = `${platform.url}/${app}.git`
      await setRemote(options.remote, url)
      await setHelper(platform.url, credentialHelper(launcher(), platform.options))
      if (options.json === true) return printJson({ remote: options.remote, url })
      printLines(`${options.remote} is ${url}`, `git push ${options.remote} main deploys this folder.`)
    }),
  )
  examples(command, 'croft git:remote shop', 'croft git:remote shop-staging -r staging')
}

/** The launcher of the checkout this program is part of: `<checkout>/apps/cli/dist/<program>`. */
function launcher(): string {
  return resolve(dirname(process.argv[1] ?? ''), '../../../croft')
}

async function requireRepository(): Promise<void> {
  try {
    await git('rev-parse', '--git-dir')
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    throw new CroftError({
      code: 'no-repository',
      status: 409,
      title: 'this folder is in no git repository',
      suggestion: 'git init -b main && git add . && git commit -m first',
      cause: error,
    })
  }
}

async function setRemote(name: string, url: string): Promise<void> {
  const names = (await git('remote')).split('\n')
  await (names.includes(name) ? git('remote', 'set-url', name, url) : git('remote', 'add', name, url))
}

/** Ours alone answers for this platform: the empty entry before it takes away helpers that would keep the token. */
async function setHelper(origin: string, helper: string): Promise<void> {
  const key = `credential.${origin}.helper`
  await git('config', '--local', '--replace-all', key, '')
  await git('config', '--local', '--add', key, helper)
}
