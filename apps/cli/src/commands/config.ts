import type { Command } from 'commander'
import { z } from 'zod'
import { configNameShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines, table } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

const MASK = '********'
const SEEN_BY: Record<string, string> = { run: 'instances', build: 'builds', both: 'instances and builds' }

/** `croft config`: names, and with `--reveal` values. */
export function register(program: Command): void {
  const command = program
    .command('config')
    .description('list config vars; values are masked')
    .option('--reveal', 'show the values (this is recorded)')
  appVerb(command).action((options: VerbOptions & { reveal?: boolean }) =>
    withApp(options, undefined, async ({ api, app }) => {
      const vars = await api.call('GET', appPath(app, '/config'), z.array(configNameShape))
      const values =
        options.reveal === true
          ? await api.call('GET', appPath(app, '/config/values'), z.record(z.string(), z.string()))
          : Object.fromEntries(vars.map(({ name }) => [name, MASK]))
      if (options.json === true) return printJson(values)
      if (vars.length === 0) return printLines(`${app} has no config vars.`)
      const rows = vars.map(({ name, scope }) => [name, values[name] ?? MASK, SEEN_BY[scope] ?? scope])
      printLines(...table(['NAME', 'VALUE', 'SEEN BY'], rows))
    }),
  )
  examples(command, 'croft config -a shop', 'croft config -a shop --reveal --json')
}
