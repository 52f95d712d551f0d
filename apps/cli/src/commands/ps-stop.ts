import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft ps:stop`: no instance runs until `ps:start`; the formation stays as it is. */
export function register(program: Command): void {
  const command = program.command('ps:stop').description('end every instance of an app until ps:start')
  appVerb(command).action((options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      await api.call('POST', appPath(app, '/stop'), z.undefined(), { body: {} })
      if (options.json === true) return printJson({ stopped: app })
      printLines(`${app} is stopped; croft ps:start -a ${app} runs it again.`)
    }),
  )
  examples(command, 'croft ps:stop -a shop')
}
