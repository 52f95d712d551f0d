import type { Command } from 'commander'
import { z } from 'zod'
import { buildShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printLines } from '../output.js'
import { plainText } from '../plain-text.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft builds:logs [BUILD]`: what a build said, and with `--tail` what it says until it ends. */
export function register(program: Command): void {
  const command = program
    .command('builds:logs')
    .description('show what a build said; without an id the newest one')
    .argument('[build]', 'id of the build')
    .option('-t, --tail', 'follow it until it ends')
  appVerb(command).action((id: string | undefined, options: VerbOptions & { tail?: boolean }) =>
    withApp(options, undefined, async ({ api, app, signal }) => {
      const build = id ?? (await api.call('GET', appPath(app, '/builds?limit=1'), z.array(buildShape)))[0]?.id
      if (build === undefined) return printLines(...(options.json === true ? [] : [`${app} has no build yet.`]))
      const path = appPath(app, `/builds/${encodeURIComponent(build)}/logs`)
      for await (const line of api.lines(path, {
        query: { follow: options.tail === true ? '1' : undefined },
        signal,
      })) {
        printLines(options.json === true ? JSON.stringify({ line }) : plainText(line))
      }
    }),
  )
  examples(command, 'croft builds:logs -a shop', 'croft builds:logs --tail', 'croft builds:logs 0193… -a shop --json')
}
