import { systemClock } from '@croft/kit'
import type { Command } from 'commander'
import { showProgress } from '../build-progress.js'
import type { ApiClient } from '../client/api-client.js'
import { ApiError } from '../client/api-error.js'
import { imageDeploymentShape } from '../client/shapes.js'
import { waitForDeployment } from '../deployment.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { FolderUnusable, listFolder, type Folder } from '../folder/folder-files.js'
import { size, UploadProgress } from '../folder/upload-progress.js'
import { plainText } from '../plain-text.js'
import { UsageError } from '../usage.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** The platform pulls the image before it answers. */
const PULL_TIMEOUT_MS = 31 * 60_000
/** As a push waits for others to be received. */
const TURN_TIMEOUT_MS = 10 * 60_000

interface DeployOptions extends VerbOptions {
  image?: string
  /** True: the current folder. */
  dockerfile?: string | true
  port?: string
  cache: boolean
  detach?: boolean
}

/** `croft deploy`: an image of any registry, or a folder with a Dockerfile, as a new release. */
export function register(program: Command): void {
  const command = program
    .command('deploy')
    .description('deploy what was not pushed with git: an image of any registry, or a folder by its Dockerfile')
    .option('--image <ref>', 'e.g. nginx:1.25, localhost:8080/shop:v12, registry.example/app@sha256:...')
    .option(
      '--dockerfile [folder]',
      'send a folder (default: this one) without what its .dockerignore names, and build it',
    )
    .option('--port <port>', 'where an image listens; default: its own PORT, else the one it exposes, else 8080')
    .option('--no-cache', 'build the folder from nothing that earlier builds kept')
    .option('--detach', 'do not wait until it serves')
  appVerb(command).action((options: DeployOptions) => {
    const { image, dockerfile } = options
    if ((image === undefined) === (dockerfile === undefined)) {
      throw new UsageError(
        'either an image is deployed or a folder',
        'croft deploy --image REF, or --dockerfile FOLDER',
      )
    }
    return image === undefined
      ? deployFolder(options, dockerfile === true ? '.' : (dockerfile ?? '.'))
      : deployImage(options)
  })
  examples(
    command,
    'croft deploy --image nginx:1.25 -a site',
    'croft deploy --image localhost:8080/staging:v12 -a shop',
    'croft deploy --dockerfile -a greeter',
    'croft deploy --dockerfile ./web -a shop --detach',
  )
}

function deployImage(options: DeployOptions): Promise<void> {
  const port = parsePort(options.port)
  if (!options.cache) throw new UsageError('an image is not built: --no-cache goes with --dockerfile')
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
}

async function deployFolder(options: DeployOptions, path: string): Promise<void> {
  if (options.port !== undefined) {
    throw new UsageError('where the app listens is said in the Dockerfile', 'EXPOSE 3000, or ENV PORT=3000')
  }
  await withApp(options, undefined, async ({ api, app, signal }) => {
    const { json, detach } = options
    const isJson = json === true
    const folder = await listFolder(path)
    if (!isJson) printLines(`-----> Sending ${folder.root} (${folder.files.length} files, ${size(folder.bytes)})`)
    const query = { name: folder.name.slice(0, 100), cache: String(options.cache), detach: String(detach === true) }
    const send = () => sendFolder(api, appPath(app, '/folders'), folder, { query, isJson, signal })
    const refusedTitle = `${folder.name} was not deployed to ${app}`
    await showProgress(whenItsTurn(send, isJson, signal), { isJson, isDetached: detach === true, refusedTitle })
  })
}

/** Sends all of it, and gives the answer line by line. @throws ApiError, FolderUnusable */
async function* sendFolder(
  api: ApiClient,
  path: string,
  folder: Folder,
  { query, isJson, signal }: { query: Record<string, string>; isJson: boolean; signal: AbortSignal },
): AsyncGenerator<string> {
  const progress = new UploadProgress(folder.bytes)
  // not every verb writes archives
  const { folderTar } = await import('../folder/folder-tar.js')
  const bytes = folderTar(folder, (sent) => (isJson ? undefined : progress.sent(sent)))
  let failure: unknown
  bytes.once('error', (error) => (failure = error))
  bytes.once('close', () => progress.end())
  try {
    yield* api.lines(path, { method: 'POST', stream: { type: 'application/x-tar', bytes }, query, signal })
  } catch (error) {
    throw failure instanceof FolderUnusable ? failure : error
  } finally {
    progress.end()
  }
}

/** Sends again while the platform receives as much as it takes at once. @throws ApiError */
async function* whenItsTurn(
  send: () => AsyncGenerator<string>,
  isJson: boolean,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const end = systemClock.monotonic() + TURN_TIMEOUT_MS
  for (let isSaid = isJson; ; isSaid = true) {
    try {
      return yield* send()
    } catch (error) {
      const isBusy = error instanceof ApiError && error.status === 429 && error.retryAfterS !== undefined
      if (!isBusy || systemClock.monotonic() > end) throw error
      if (!isSaid) printLines(`-----> Waiting: ${plainText(error.title)}`)
      await systemClock.sleep((error.retryAfterS ?? 0) * 1_000, signal)
    }
  }
}

/** @throws UsageError. Pure. */
export function parsePort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new UsageError(`${text} is no port`, 'croft deploy --image REF --port 8000')
  return port
}
