import type { Command } from 'commander'
import { z } from 'zod'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson } from '../output.js'
import { plainText } from '../plain-text.js'
import { UsageError } from '../usage.js'
import { appPath, appVerb, withApp, withPlatform, type VerbOptions } from '../verb.js'

const propertyShape = z.looseObject({ name: z.string(), value: z.string() })
const billShape = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  components: z.array(z.looseObject({ properties: z.array(propertyShape).optional() })).default([]),
})
/** The platform may have to read every layer of an image that others made. */
const TIMEOUT_MS = 5 * 60_000

interface SbomOptions extends VerbOptions {
  release?: string
  stack?: string
}

/** `croft sbom`: what an app's image or a stack consists of, as CycloneDX; always JSON. */
export function register(program: Command): void {
  const command = program
    .command('sbom')
    .description("print what an app's image consists of (CycloneDX, JSON)")
    .option('--release <number>', 'of that release; default: the one that serves')
    .option('--stack <stack>', 'of the run image of a stack instead')
  appVerb(command).action((options: SbomOptions) => {
    const { stack, release } = options
    if (stack !== undefined) {
      if (options.app !== undefined || release !== undefined)
        throw new UsageError('--stack is of no app', `croft sbom --stack ${stack}`)
      return withPlatform(options, async ({ api }) =>
        printBill(
          await api.call('GET', `/stacks/${encodeURIComponent(stack)}/sbom`, billShape, { timeoutMs: TIMEOUT_MS }),
        ),
      )
    }
    return withApp(options, undefined, async ({ api, app }) => {
      const version = release ?? (await api.call('GET', appPath(app), appShape)).release
      if (version === null) throw new UsageError(`${app} has no release yet`, 'git push croft main')
      const path = appPath(app, `/releases/${encodeURIComponent(version)}/sbom`)
      printBill(await api.call('GET', path, billShape, { timeoutMs: TIMEOUT_MS }))
    })
  })
  examples(command, 'croft sbom -a shop', 'croft sbom -a shop --release 12', 'croft sbom --stack debian-12')
}

/** The document, and beside it what it does not name. */
function printBill(bill: z.infer<typeof billShape>): void {
  printJson(bill)
  for (const { properties = [] } of bill.components) {
    for (const { name, value } of properties) {
      if (name === 'croft:unread')
        process.stderr.write(` !     ${plainText(value)} is not read: its packages are missing here\n`)
    }
  }
}
