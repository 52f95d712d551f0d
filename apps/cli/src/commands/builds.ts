import type { Command } from 'commander'
import { z } from 'zod'
import { buildShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines, table } from '../output.js'
import { ago } from '../time-text.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft builds`: newest first. */
export function register(program: Command): void {
  const command = program.command('builds').description('list the builds of an app, newest first')
  appVerb(command).action((options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const builds = await api.call('GET', appPath(app, '/builds'), z.array(buildShape))
      if (options.json === true) return printJson(builds)
      if (builds.length === 0) return printLines(`${app} has no build yet: git push croft main`)
      const now = Date.now()
      printLines(
        ...table(
          ['BUILD', 'STATE', 'COMMIT', 'WHEN', 'TOOK', 'WHY'],
          builds.map((build) => [
            build.id,
            build.state,
            build.commit.slice(0, 8),
            ago(build.createdAt, now),
            tookOf(build.startedAt, build.endedAt),
            build.message ?? '',
          ]),
        ),
      )
    }),
  )
  examples(command, 'croft builds -a shop', 'croft builds --json')
}

function tookOf(startedAt: string | null, endedAt: string | null): string {
  if (startedAt === null || endedAt === null) return ''
  return `${((Date.parse(endedAt) - Date.parse(startedAt)) / 1000).toFixed(1)} s`
}
