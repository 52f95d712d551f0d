import type { Command } from 'commander'
import { z } from 'zod'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines, table } from '../output.js'
import { platformVerb, withPlatform, type VerbOptions } from '../verb.js'

/** `croft apps`: the apps of the team. */
export function register(program: Command): void {
  const command = program.command('apps').description('list the apps of your team')
  platformVerb(command).action((options: VerbOptions) =>
    withPlatform(options, async ({ api }) => {
      const apps = await api.call('GET', '/apps', z.array(appShape))
      if (options.json === true) return printJson(apps)
      if (apps.length === 0)
        return printLines('No apps yet. croft apps:create NAME makes one, and so does a first git push.')
      printLines(
        ...table(
          ['APP', 'TEAM', 'RELEASE', 'ADDRESS'],
          apps.map((app) => [app.name, app.team, app.release === null ? '-' : `v${app.release}`, app.url]),
        ),
      )
    }),
  )
  examples(command, 'croft apps', 'croft apps --json')
}
