import type { Command } from 'commander'
import { rebaseShape } from '../client/shapes.js'
import { waitForDeployment } from '../deployment.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** It may have to wait for its turn behind builds. */
const TIMEOUT_MS = 20 * 60_000

/** `croft rebase`: the present base image of its stack under an app, without a build. */
export function register(program: Command): void {
  const command = program
    .command('rebase')
    .description('put the present base image of its stack under an app, without a build')
    .option('--detach', 'do not wait until it serves')
  appVerb(command).action((options: VerbOptions & { detach?: boolean }) =>
    withApp(options, undefined, async ({ api, app, signal }) => {
      const begun = await api.call('POST', appPath(app, '/rebase'), rebaseShape, {
        body: {},
        timeoutMs: TIMEOUT_MS,
        signal,
      })
      const isDone = options.detach !== true && begun.deployment !== null
      if (isDone && begun.deployment !== null) await waitForDeployment(api, app, begun.deployment, signal)
      if (options.json === true) return printJson(begun)
      if (begun.release === null) return printLines(`${app} stands on the present base image already.`)
      printLines(
        isDone
          ? `${app} runs v${begun.release} on the present base image.`
          : `${app} is being rebased: v${begun.release}.`,
      )
    }),
  )
  examples(command, 'croft rebase -a shop')
}
