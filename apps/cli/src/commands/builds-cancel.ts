import type { Command } from 'commander'
import { z } from 'zod'
import { buildShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft builds:cancel [BUILD]`: the former release serves on. */
export function register(program: Command): void {
  const command = program
    .command('builds:cancel')
    .description('end a build that waits or runs; without an id every open one of the app')
    .argument('[build]', 'id of the build')
  appVerb(command).action((id: string | undefined, options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const ids = id === undefined ? await openBuilds() : [id]
      const canceled: z.infer<typeof buildShape>[] = []
      for (const one of ids) {
        canceled.push(await api.call('POST', appPath(app, `/builds/${encodeURIComponent(one)}/cancel`), buildShape))
      }
      if (options.json === true) return printJson(canceled)
      if (canceled.length === 0) return printLines(`${app} has no open build.`)
      printLines(...canceled.map((build) => `Build ${build.id} is canceled; the former release serves on.`))

      async function openBuilds(): Promise<string[]> {
        const builds = await api.call('GET', appPath(app, '/builds'), z.array(buildShape))
        return builds.filter(({ endedAt }) => endedAt === null).map((build) => build.id)
      }
    }),
  )
  examples(command, 'croft builds:cancel -a shop', 'croft builds:cancel 0193… -a shop --json')
}
