import type { Command } from 'commander'
import { deploymentShape, waitForDeployment } from '../deployment.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft ps:restart`: every instance is replaced by a new one of the same release, without a gap. */
export function register(program: Command): void {
  const command = program
    .command('ps:restart')
    .description('replace every instance of an app by a new one, without a gap')
    .option('--detach', 'do not wait until it is done')
  appVerb(command).action((options: VerbOptions & { detach?: boolean }) =>
    withApp(options, undefined, async ({ api, app, signal }) => {
      const begun = await api.call('POST', appPath(app, '/restart'), deploymentShape, { body: {} })
      const isDone = options.detach !== true
      if (isDone) await waitForDeployment(api, app, begun.id, signal)
      if (options.json === true) return printJson({ ...begun, state: isDone ? 'succeeded' : begun.state })
      printLines(isDone ? `${app} is restarted: v${begun.release}.` : `${app} is being restarted.`)
    }),
  )
  examples(command, 'croft ps:restart -a shop', 'croft ps:restart --detach')
}
