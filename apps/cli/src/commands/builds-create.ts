import { CroftError } from '@croft/kit'
import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printLines } from '../output.js'
import { plainText } from '../plain-text.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** One line of the answer; fields of a newer platform are let through. */
const refusedShape = z.looseObject({
  outcome: z.literal('refused'),
  reason: z.string(),
  cause: z.string(),
  suggestion: z.string(),
})
const progressShape = z.union([
  refusedShape,
  z.looseObject({ line: z.string() }),
  z.looseObject({ outcome: z.literal('deployed'), release: z.int() }),
])

interface CreateOptions extends VerbOptions {
  cache: boolean
  detach?: boolean
}

/** `croft builds:create`: builds and deploys once more what was pushed last. */
export function register(program: Command): void {
  const command = program
    .command('builds:create')
    .description('build and deploy once more what was pushed last')
    .option('--no-cache', 'start from nothing that earlier builds kept')
    .option('--detach', 'do not wait for it; builds:logs --tail shows how it goes on')
  appVerb(command).action((options: CreateOptions) =>
    withApp(options, undefined, async ({ api, app, signal }) => {
      const body = { cache: options.cache, detach: options.detach === true }
      for await (const text of api.lines(appPath(app, '/builds'), { method: 'POST', body, signal })) {
        if (text === '') continue // keeps the connection open
        const progress = progressShape.parse(JSON.parse(text))
        if (options.json === true) printLines(text)
        else if (typeof progress.line === 'string') printLines(plainText(progress.line))
        const refused = refusedShape.safeParse(progress)
        if (refused.success) throw new BuildRefused(app, refused.data)
        if (options.detach === true) return
      }
    }),
  )
  examples(command, 'croft builds:create -a shop', 'croft builds:create --no-cache', 'croft builds:create --detach')
}

/** What was built is not deployed: the former release serves on. */
class BuildRefused extends CroftError {
  constructor(app: string, { reason, cause, suggestion }: z.infer<typeof refusedShape>) {
    super({ code: reason, status: 409, title: `${app} was not deployed anew`, detail: cause, suggestion, kind: 'user' })
  }
}
