import type { Command } from 'commander'
import { CroftError } from '@croft/kit'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft config:get NAME`: one value, as it is. */
export function register(program: Command): void {
  const command = program
    .command('config:get')
    .description('print the value of a config var (this is recorded)')
    .argument('<name>', 'the config var')
  appVerb(command).action((name: string, options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const values = await api.call('GET', appPath(app, '/config/values'), z.record(z.string(), z.string()), {
        query: { name },
      })
      const value = values[name]
      if (value === undefined) {
        throw new CroftError({
          code: 'config-not-set',
          status: 404,
          title: `${app} has no config var ${name}`,
          suggestion: `croft config -a ${app} lists them`,
        })
      }
      if (options.json === true) return printJson({ [name]: value })
      printLines(value)
    }),
  )
  examples(command, 'croft config:get DATABASE_URL -a shop')
}
