import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft apps:destroy APP --confirm APP`. */
export function register(program: Command): void {
  const command = program
    .command('apps:destroy')
    .description('stop an app and remove it for good')
    .argument('[app]', 'the app')
    .option('--confirm <app>', 'its name once more')
  appVerb(command).action((named: string | undefined, options: VerbOptions & { confirm?: string }) =>
    withApp(options, named, async ({ api, app }) => {
      if (options.confirm === undefined) {
        throw new UsageError(
          `destroying ${app} stops it and cannot be undone`,
          `croft apps:destroy ${app} --confirm ${app}`,
        )
      }
      await api.call('DELETE', appPath(app), z.undefined(), { query: { confirm: options.confirm } })
      if (options.json === true) return printJson({ destroyed: app })
      printLines(`${app} is destroyed.`)
    }),
  )
  examples(command, 'croft apps:destroy shop --confirm shop')
}
