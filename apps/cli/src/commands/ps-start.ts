import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft ps:start`: runs again what `ps:stop` ended. */
export function register(program: Command): void {
  const command = program.command('ps:start').description('run the instances of an app again after ps:stop')
  appVerb(command).action((options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      await api.call('POST', appPath(app, '/start'), z.undefined(), { body: {} })
      if (options.json === true) return printJson({ started: app })
      printLines(`${app} is being started.`)
    }),
  )
  examples(command, 'croft ps:start -a shop')
}
