import type { Command } from 'commander'
import { z } from 'zod'
import { DEPLOYMENT_TIMEOUT_MS } from '../client/api-client.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft ps:restart`: every instance is replaced by a new one, without a gap. */
export function register(program: Command): void {
  const command = program.command('ps:restart').description('replace every instance of an app by a new one')
  appVerb(command).action((options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app, signal }) => {
      const restarted = await api.call('POST', appPath(app, '/restart'), z.unknown(), {
        body: {},
        timeoutMs: DEPLOYMENT_TIMEOUT_MS,
        signal,
      })
      if (options.json === true) return printJson(restarted ?? {})
      printLines(`${app} is being restarted.`)
    }),
  )
  examples(command, 'croft ps:restart -a shop')
}
