import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { paint, printLines } from '../output.js'
import { plainText } from '../plain-text.js'
import { UsageError } from '../usage.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

const lineShape = z.looseObject({ at: z.string(), instance: z.string(), stream: z.string(), line: z.string() })

interface LogOptions extends VerbOptions {
  tail?: boolean
  num: string
  ps?: string
}

/** `croft logs`: the newest lines, and with `--tail` those to come. */
export function register(program: Command): void {
  const command = program
    .command('logs')
    .description('show what the instances of an app wrote')
    .option('-t, --tail', 'follow: show new lines as they come')
    .option('-n, --num <number>', 'how many of the newest lines', '100')
    .option('-p, --ps <instance>', 'only this instance (web.1) or process type (web)')
  appVerb(command).action((options: LogOptions) => {
    if (!/^\d{1,6}$/.test(options.num)) throw new UsageError(`--num ${options.num} is not a number of lines`)
    return withApp(options, undefined, async ({ api, app, signal }) => {
      const query = { lines: options.num, instance: options.ps, ...(options.tail === true && { follow: '1' }) }
      for await (const text of api.lines(appPath(app, '/logs'), { query, signal })) {
        if (text === '') continue // keeps the connection open
        if (options.json === true) printLines(text)
        else printLines(readable(lineShape.parse(JSON.parse(text))))
      }
    })
  })
  examples(command, 'croft logs -a shop --num 500', 'croft logs --tail --ps web.1', 'croft logs --json')
}

function readable(of: z.infer<typeof lineShape>): string {
  return `${paint('dim', of.at)} ${paint('cyan', of.instance)} ${plainText(of.line)}`
}
