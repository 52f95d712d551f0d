import type { Command } from 'commander'
import { z } from 'zod'
import { psShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines, table } from '../output.js'
import { ago, mebibytes } from '../time-text.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft ps`: the instances of an app. */
export function register(program: Command): void {
  const command = program
    .command('ps')
    .description('list the instances of an app: state, CPU, memory of limit, restarts')
  appVerb(command).action((options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const instances = await api.call('GET', appPath(app, '/ps'), z.array(psShape))
      if (options.json === true) return printJson(instances)
      if (instances.length === 0) return printLines(`${app} has no instance: croft ps:scale web=1 -a ${app}`)
      const now = Date.now()
      printLines(
        ...table(
          ['INSTANCE', 'STATE', 'RELEASE', 'CPU', 'MEMORY', 'RESTARTS', 'STARTED', 'ADDRESS'],
          instances.map((of) => [
            of.instance,
            of.state,
            of.release === null ? '-' : `v${of.release}`,
            `${(of.cpuMillis / 10).toFixed(0)} %`,
            `${mebibytes(of.memoryBytes)} of ${mebibytes(of.memoryLimitBytes)}`,
            String(of.restarts),
            ago(of.startedAt, now),
            of.address ?? '-',
          ]),
        ),
      )
    }),
  )
  examples(command, 'croft ps -a shop', 'croft ps --json')
}
