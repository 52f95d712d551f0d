import type { Command } from 'commander'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft stack:set STACK`: what an app's next builds stand on; `auto` lets the app's files choose again. */
export function register(program: Command): void {
  const command = program
    .command('stack:set')
    .description("set the stack that an app's next builds stand on")
    .argument('<stack>', 'debian-11, debian-12, debian-13; or auto: what the app asks for decides')
  appVerb(command).action((stack: string, options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const body = { stack: stack === 'auto' ? null : stack }
      const changed = await api.call('PATCH', appPath(app), appShape, { body })
      if (options.json === true) return printJson(changed)
      printLines(
        stack === 'auto' ? `${app} takes the stack its files ask for` : `${app} is built on ${stack} from now on`,
        'The next push builds it anew; croft builds:create does it now.',
      )
    }),
  )
  examples(command, 'croft stack:set debian-13 -a shop', 'croft stack:set auto -a shop')
}
