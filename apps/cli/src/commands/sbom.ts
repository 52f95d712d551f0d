import type { Command } from 'commander'
import { z } from 'zod'
import { appShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson } from '../output.js'
import { UsageError } from '../usage.js'
import { appPath, appVerb, withApp, withPlatform, type VerbOptions } from '../verb.js'

const billShape = z.looseObject({ bomFormat: z.literal('CycloneDX') })

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
        printJson(await api.call('GET', `/stacks/${encodeURIComponent(stack)}/sbom`, billShape)),
      )
    }
    return withApp(options, undefined, async ({ api, app }) => {
      const version = release ?? (await api.call('GET', appPath(app), appShape)).release
      if (version === null) throw new UsageError(`${app} has no release yet`, 'git push croft main')
      printJson(await api.call('GET', appPath(app, `/releases/${encodeURIComponent(version)}/sbom`), billShape))
    })
  })
  examples(command, 'croft sbom -a shop', 'croft sbom -a shop --release 12', 'croft sbom --stack debian-12')
}
