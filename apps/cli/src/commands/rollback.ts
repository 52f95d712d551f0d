import type { Command } from 'commander'
import { deploymentShape, waitForDeployment } from '../deployment.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft rollback [vN]`: an older release as a new one, without a build. */
export function register(program: Command): void {
  const command = program
    .command('rollback')
    .alias('releases:rollback')
    .description('run an older release again: its image, process types, checks and config as a new release')
    .argument('[release]', 'e.g. v12; default: the one before that served')
    .option('--formation', 'take its quantities too; else they stay')
    .option('--detach', 'do not wait until it serves')
  appVerb(command).action(
    (release: string | undefined, options: VerbOptions & { formation?: boolean; detach?: boolean }) =>
      withApp(options, undefined, async ({ api, app, signal }) => {
        const begun = await api.call('POST', appPath(app, '/rollback'), deploymentShape, {
          body: { ...(release !== undefined && { release }), formation: options.formation === true },
        })
        const isDone = options.detach !== true
        if (isDone) await waitForDeployment(api, app, begun.id, signal)
        if (options.json === true) return printJson({ ...begun, state: isDone ? 'succeeded' : begun.state })
        printLines(
          isDone
            ? `${app} runs v${begun.release}, which is ${release === undefined ? 'the former release' : `v${release.replace(/^v/, '')}`} again.`
            : `${app} is being rolled back: v${begun.release}.`,
        )
      }),
  )
  examples(command, 'croft rollback -a shop', 'croft rollback v12 -a shop', 'croft rollback v12 --formation')
}
