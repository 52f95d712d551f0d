import type { Command } from 'commander'
import { changeConfig } from '../config-change.js'
import { examples } from '../examples.js'
import { appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft config:unset NAME …`: one new release, no build. */
export function register(program: Command): void {
  const command = program
    .command('config:unset')
    .description('remove config vars: one new release, without a build')
    .argument('<name...>', 'the config vars')
    .option('--detach', 'do not wait for the deployment')
  appVerb(command).action((unset: string[], options: VerbOptions & { detach?: boolean }) =>
    withApp(options, undefined, ({ api, app, signal }) =>
      changeConfig(api, app, { unset, isDetached: options.detach === true }, { isJson: options.json === true, signal }),
    ),
  )
  examples(command, 'croft config:unset GREETING -a shop')
}
