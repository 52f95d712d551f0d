import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft builds:cache:clear`: the next build starts from nothing. */
export function register(program: Command): void {
  const command = program
    .command('builds:cache:clear')
    .description('let the next build of an app start from nothing that earlier ones kept')
  appVerb(command).action((options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      await api.call('DELETE', appPath(app, '/builds/cache'), z.undefined())
      if (options.json === true) return printJson({ app, cleared: true })
      printLines(`The next build of ${app} starts from nothing.`)
    }),
  )
  examples(command, 'croft builds:cache:clear -a shop')
}
