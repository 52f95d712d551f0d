import type { Command } from 'commander'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { platformVerb, withPlatform, type VerbOptions } from '../verb.js'

/** `croft apps:create NAME`. */
export function register(program: Command): void {
  const command = program
    .command('apps:create')
    .description('make an app; the first git push does it too')
    .argument('<name>', '3 to 40 of a-z, 0-9 and -, a letter first')
    .option('--team <team>', 'the team it belongs to; default: yours')
  platformVerb(command).action((name: string, options: VerbOptions & { team?: string }) =>
    withPlatform(options, async ({ api }) => {
      const body = { name, ...(options.team !== undefined && { team: options.team }) }
      const app = await api.call('POST', '/apps', appShape, { body })
      if (options.json === true) return printJson(app)
      printLines(
        `${app.name} is made. In its repository:`,
        '',
        `  croft git:remote -a ${app.name}`,
        '  git push croft main',
      )
    }),
  )
  examples(command, 'croft apps:create shop', 'croft apps:create shop --team main --json')
}
