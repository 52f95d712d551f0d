import { CroftError } from '@croft/kit'
import type { Command } from 'commander'
import { z } from 'zod'
import type { ApiClient } from '../client/api-client.js'
import { appShape, rebaseShape } from '../client/shapes.js'
import { waitForDeployment } from '../deployment.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { appPath, appVerb, withApp, withPlatform, type VerbOptions } from '../verb.js'

/** It may have to wait for its turn behind builds. */
const TIMEOUT_MS = 20 * 60_000

interface Options extends VerbOptions {
  all?: boolean
  detach?: boolean
}

/** `croft rebase`: the present base image of its stack under an app, or under every app of the team, without a build. */
export function register(program: Command): void {
  const command = program
    .command('rebase')
    .description('put the present base image of its stack under an app, without a build')
    .option('--all', 'every app of your team that runs, one after the other; one that fails does not stop the others')
    .option('--detach', 'do not wait until it serves')
  appVerb(command).action((options: Options) => (options.all === true ? rebaseAll(options) : rebaseOne(options)))
  examples(command, 'croft rebase -a shop', 'croft rebase --all')
}

function rebaseOne(options: Options): Promise<void> {
  return withApp(options, undefined, async ({ api, app, signal }) => {
    const begun = await rebase(api, app, options, signal)
    if (options.json === true) printJson(begun)
    else printLines(sentenceOf(app, begun.release, options))
  })
}

function rebaseAll(options: Options): Promise<void> {
  if (options.app !== undefined) throw new UsageError('--all is of no single app', 'croft rebase --all, or -a APP')
  return withPlatform(options, async ({ api, signal }) => {
    const apps = await api.call('GET', '/apps', z.array(appShape))
    const ends: { app: string; release: number | null; error: string | null }[] = []
    for (const { name: app } of apps.filter(({ release }) => release !== null)) {
      const end = await rebase(api, app, options, signal).then(
        ({ release }) => ({ app, release, error: null }),
        (error: unknown) => {
          signal.throwIfAborted()
          if (!(error instanceof CroftError)) throw error
          return {
            app,
            release: null,
            error: [error.title, ...(error.detail ?? '').split('\n', 1)].filter(Boolean).join(': '),
          }
        },
      )
      ends.push(end)
      if (options.json !== true) printLines(end.error ?? sentenceOf(app, end.release, options))
    }
    if (options.json === true) printJson(ends)
    else if (ends.length === 0) printLines('No app of your team runs.')
    if (ends.some(({ error }) => error !== null)) process.exitCode = 1
  })
}

async function rebase(
  api: ApiClient,
  app: string,
  options: Options,
  signal: AbortSignal,
): Promise<z.infer<typeof rebaseShape>> {
  const begun = await api.call('POST', appPath(app, '/rebase'), rebaseShape, {
    body: {},
    timeoutMs: TIMEOUT_MS,
    signal,
  })
  if (options.detach !== true && begun.deployment !== null) {
    await waitForDeployment(api, app, begun.deployment, signal)
  }
  return begun
}

function sentenceOf(app: string, release: number | null, { detach = false }: Options): string {
  if (release === null) return `${app} stands on the present base image already.`
  return detach ? `${app} is being rebased: v${release}.` : `${app} runs v${release} on the present base image.`
}
