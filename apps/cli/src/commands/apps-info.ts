import type { Command } from 'commander'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'
import { settingTexts } from './apps-set.js'

/** `croft apps:info [APP]`. */
export function register(program: Command): void {
  const command = program.command('apps:info').description('show an app').argument('[app]', 'the app')
  appVerb(command).action((named: string | undefined, options: VerbOptions) =>
    withApp(options, named, async ({ api, app: name }) => {
      const app = await api.call('GET', appPath(name), appShape)
      if (options.json === true) return printJson(app)
      const texts = settingTexts(app.settings ?? {})
      printLines(
        `app       ${app.name}`,
        `team      ${app.team}`,
        `address   ${app.url}`,
        `git       ${app.gitUrl}`,
        `release   ${app.release === null ? 'none yet' : `v${app.release}`}`,
        ...(app.settings?.stack === undefined ? [] : [`stack     ${app.settings?.stack}`]),
        ...(texts.length === 0 ? [] : [`settings  ${texts.join(' ')}`]),
        `created   ${app.createdAt}`,
      )
    }),
  )
  examples(command, 'croft apps:info shop', 'croft apps:info -a shop --json')
}
