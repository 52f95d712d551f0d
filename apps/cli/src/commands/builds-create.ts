import type { Command } from 'commander'
import { showProgress } from '../build-progress.js'
import { examples } from '../examples.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

interface CreateOptions extends VerbOptions {
  cache: boolean
  detach?: boolean
}

/** `croft builds:create`: builds and deploys once more what was pushed last. */
export function register(program: Command): void {
  const command = program
    .command('builds:create')
    .description('build and deploy once more what was pushed last')
    .option('--no-cache', 'start from nothing that earlier builds kept')
    .option('--detach', 'do not wait for it; builds:logs --tail shows how it goes on')
  appVerb(command).action((options: CreateOptions) =>
    withApp(options, undefined, async ({ api, app, signal }) => {
      const body = { cache: options.cache, detach: options.detach === true }
      const lines = api.lines(appPath(app, '/builds'), { method: 'POST', body, signal })
      await showProgress(lines, {
        isJson: options.json === true,
        isDetached: options.detach === true,
        refusedTitle: `${app} was not deployed anew`,
      })
    }),
  )
  examples(command, 'croft builds:create -a shop', 'croft builds:create --no-cache', 'croft builds:create --detach')
}
