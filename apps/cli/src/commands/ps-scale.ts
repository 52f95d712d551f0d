import { PROCESS_TYPE } from '@croft/kit'
import type { Command } from 'commander'
import { z } from 'zod'
import { formationShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft ps:scale web=3 worker=1`: how many instances of each process type run; no release. */
export function register(program: Command): void {
  const command = program
    .command('ps:scale')
    .description('set how many instances of a process type run; without arguments show it')
    .argument('[type=number...]', 'process types and their numbers')
  appVerb(command).action((pairs: string[], options: VerbOptions) => {
    const quantities = parseQuantities(pairs)
    return withApp(options, undefined, async ({ api, app }) => {
      const formation =
        pairs.length === 0
          ? await api.call('GET', appPath(app, '/formation'), z.array(formationShape))
          : await api.call('PATCH', appPath(app, '/formation'), z.array(formationShape), { body: quantities })
      if (options.json === true) return printJson(formation)
      if (formation.length === 0) return printLines(`${app} has no process types yet: git push croft main`)
      printLines(...formation.map(({ type, quantity }) => `${type}=${quantity}`))
    })
  })
  examples(command, 'croft ps:scale web=3 worker=1 -a shop', 'croft ps:scale web=0', 'croft ps:scale --json')
}

/** `web=3` arguments as an object. @throws UsageError. Pure. */
export function parseQuantities(pairs: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, type = '', quantity] = /^([^=]*)=(\d{1,4})$/.exec(pair) ?? []
      if (!PROCESS_TYPE.test(type)) throw new UsageError(`${pair} is not TYPE=NUMBER`, 'croft ps:scale web=3')
      return [type, Number(quantity)]
    }),
  )
}
