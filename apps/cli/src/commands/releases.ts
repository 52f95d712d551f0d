import type { Command } from 'commander'
import { z } from 'zod'
import { releaseShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines, table } from '../output.js'
import { ago } from '../time-text.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft releases`: newest first. */
export function register(program: Command): void {
  const command = program.command('releases').description('list the releases of an app, newest first')
  appVerb(command).action((options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const releases = await api.call('GET', appPath(app, '/releases'), z.array(releaseShape))
      if (options.json === true) return printJson(releases)
      if (releases.length === 0) return printLines(`${app} has no release yet: git push croft main`)
      const now = Date.now()
      printLines(
        ...table(
          ['RELEASE', 'STATUS', 'COMMIT', 'WHEN', 'WHO', 'WHAT'],
          releases.map((release) => [
            `v${release.version}`,
            release.status,
            release.commit?.slice(0, 8) ?? '-',
            ago(release.createdAt, now),
            release.author,
            release.description,
          ]),
        ),
      )
    }),
  )
  examples(command, 'croft releases -a shop', 'croft releases --json')
}
