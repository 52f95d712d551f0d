import type { Command } from 'commander'
import { z } from 'zod'
import { buildShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { plainText } from '../plain-text.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft builds:info [BUILD]`: a build and its whole log. */
export function register(program: Command): void {
  const command = program
    .command('builds:info')
    .description('show a build and its log; without an id the newest one')
    .argument('[build]', 'id of the build')
  appVerb(command).action((id: string | undefined, options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const build =
        id === undefined
          ? (await api.call('GET', appPath(app, '/builds'), z.array(buildShape)))[0]
          : await api.call('GET', appPath(app, `/builds/${encodeURIComponent(id)}`), buildShape)
      if (build === undefined) return options.json === true ? printJson(null) : printLines(`${app} has no build yet.`)
      const log: string[] = []
      for await (const line of api.lines(appPath(app, `/builds/${build.id}/logs`))) log.push(line)
      if (options.json === true) return printJson({ ...build, log })
      printLines(
        `build     ${build.id}`,
        `state     ${build.state}${build.reason === null ? '' : ` (${build.reason})`}`,
        `commit    ${build.commit}`,
        `image     ${build.image ?? '-'}`,
        ...(build.buildpacks ?? []).map(
          ({ id, version, origin }) => `built by  ${id} ${version}${origin === null ? '' : ` (${origin})`}`,
        ),
        `created   ${build.createdAt}`,
        `ended     ${build.endedAt ?? '-'}`,
        ...(build.message === null ? [] : [`why       ${build.message}`]),
        ...(build.suggestion === null ? [] : [`try       ${build.suggestion}`]),
        '',
        ...log.map(plainText),
      )
    }),
  )
  examples(command, 'croft builds:info -a shop', 'croft builds:info 0193…  -a shop --json')
}
