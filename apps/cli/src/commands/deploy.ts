import type { Command } from 'commander'
import { imageDeploymentShape } from '../client/shapes.js'
import { waitForDeployment } from '../deployment.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { UsageError } from '../usage.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** The platform pulls the image before it answers. */
const PULL_TIMEOUT_MS = 31 * 60_000

interface DeployOptions extends VerbOptions {
  image?: string
  port?: string
  detach?: boolean
}

/** `croft deploy --image REF`: an image of any registry as a new release, without a build. */
export function register(program: Command): void {
  const command = program
    .command('deploy')
    .description('deploy an image of any registry: the platform pulls it, checks every byte and runs it')
    .requiredOption('--image <ref>', 'e.g. nginx:1.25, localhost:8080/shop:v12, registry.example/app@sha256:...')
    .option('--port <port>', 'where it listens; default: its own PORT, else the one it exposes, else 8080')
    .option('--detach', 'do not wait until it serves')
  appVerb(command).action((options: DeployOptions) => {
    const port = parsePort(options.port)
    return withApp(options, undefined, async ({ api, app, signal }) => {
      const begun = await api.call('POST', appPath(app, '/images'), imageDeploymentShape, {
        body: { image: options.image, ...(port !== undefined && { port }) },
        timeoutMs: PULL_TIMEOUT_MS,
        signal,
      })
      if (options.json !== true) for (const warning of begun.warnings) process.stderr.write(` !     ${warning}\n`)
      const isDone = options.detach !== true
      if (isDone) await waitForDeployment(api, app, begun.deployment, signal)
      if (options.json === true) return printJson({ ...begun, state: isDone ? 'succeeded' : 'pending' })
      const what = `${begun.image.slice(0, 19)} as v${begun.release}`
      printLines(isDone ? `${app} runs ${what}.` : `${app} is being deployed: ${what}.`)
    })
  })
  examples(
    command,
    'croft deploy --image nginx:1.25 -a site',
    'croft deploy --image localhost:8080/staging:v12 -a shop',
  )
}

/** @throws UsageError. Pure. */
export function parsePort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new UsageError(`${text} is no port`, 'croft deploy --image REF --port 8000')
  return port
}
