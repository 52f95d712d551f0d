import type { Command } from 'commander'
import { z } from 'zod'
import { appOfFolder } from '../client/git-remote.js'
import { stackShape, type StackShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines, table } from '../output.js'
import { appPath, appVerb, withPlatform, type VerbOptions } from '../verb.js'

/** `croft stack`: the stacks, and which one an app is on. */
export function register(program: Command): void {
  const command = program.command('stack').description('list the stacks, and which one an app is on')
  appVerb(command).action((options: VerbOptions) =>
    withPlatform(options, async ({ api, platform }) => {
      const app = options.app ?? (await appOfFolder(platform.url))
      const path = app === undefined ? '/stacks' : appPath(app, '/stacks')
      const stacks = await api.call('GET', path, z.array(stackShape))
      if (options.json === true) return printJson(stacks)
      printLines(...lines(stacks))
    }),
  )
  examples(command, 'croft stack', 'croft stack -a shop --json')
}

function lines(stacks: readonly StackShape[]): string[] {
  return table(
    ['STACK', 'SUPPORTED UNTIL', 'PHP', 'RUBY', 'PYTHON', ''],
    stacks.map((stack) => [
      stack.id,
      stack.isExpired ? `${stack.endOfSupport} (over)` : stack.endOfSupport,
      stack.runtimes.php.version,
      stack.runtimes.ruby.version,
      stack.runtimes.python.version,
      [
        ...(stack.isDefault ? ['default'] : []),
        ...(stack.isPinned === true ? ['set for the app'] : []),
        ...(stack.isCurrent === true ? ['in use'] : []),
      ].join(', '),
    ]),
  )
}
