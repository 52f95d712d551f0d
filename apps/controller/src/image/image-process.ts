import { CroftError } from '@croft/kit'
import type { ImageConfig } from '@croft/oci'
import type { ProcessType } from '@croft/protocol'
import { APP_PORT, TRAFFIC_TYPE } from '../release/service-spec.js'

/** How an image that Croft did not build is run. Pure. */

/** An image nobody can run as it is. */
export class ImageUnusable extends CroftError {
  constructor(title: string, suggestion: string) {
    super({ code: 'image-unusable', status: 422, title, suggestion })
  }
}

export interface ImageProcesses {
  processTypes: Record<string, ProcessType>
  /** Lines for whoever deploys it. */
  warnings: string[]
}

/** What Docker puts before a CMD in shell form. */
const SHELL = ['/bin/sh', '-c']
const BUILD_METADATA = 'io.buildpacks.build.metadata'
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** The architecture of images this machine runs, in their own words. */
export function imageArchitecture(nodeArch: string): string {
  return ARCHITECTURES[nodeArch] ?? nodeArch
}

/**
 * The process types of an image: those its buildpacks say, else ENTRYPOINT and CMD as `web`, by the image's own user and in its
 * folder. `port` wins; else it is the one the image sets PORT to, else the only one it exposes. The app is told the port in PORT
 * in any case, so that an image which reads it and one which does not both work. `isBuilt`: of the app's own Dockerfile, which can
 * be changed, and whose ENTRYPOINT and CMD count before what the image below it says; each line of its `procfile` is what it would
 * be as CMD in shell form, behind the image's ENTRYPOINT.
 * @throws ImageUnusable
 */
export function processesOf(
  config: ImageConfig,
  options: { port?: number | undefined; nodeArch: string; isBuilt?: boolean; procfile?: ReadonlyMap<string, string> },
): ImageProcesses {
  const wanted = imageArchitecture(options.nodeArch)
  if (config.os !== 'linux' || config.architecture !== wanted) {
    throw new ImageUnusable(`the image is for ${config.os}/${config.architecture}`, `push one for linux/${wanted}`)
  }
  const of = config.config ?? {}
  const volumes = Object.keys(of.Volumes ?? {})
  const warnings =
    volumes.length === 0
      ? []
      : [`${volumes.join(', ')} of the image is scratch space: what is written there is lost with each instance`]
  const built = buildpackTypes(of.Labels?.[BUILD_METADATA])
  const run = { user: of.User === undefined || of.User === '' ? 'root' : of.User, dir: of.WorkingDir || '/' }
  const types: Record<string, ProcessType> = mapValues(built ?? {}, (command, type) => ({
    command,
    argv: [`/cnb/process/${type}`],
    ...run,
  }))
  const entrypoint = of.Entrypoint ?? []
  const argv = [...entrypoint, ...(of.Cmd ?? [])]
  const isOwn = built === null || options.isBuilt === true
  if (isOwn && argv.length > 0) types[TRAFFIC_TYPE] = { command: argv.join(' '), argv, ...run }
  for (const [type, command] of options.procfile ?? []) {
    types[type] = { command, argv: [...entrypoint, ...SHELL, command], ...run }
  }
  const web = types[TRAFFIC_TYPE]
  if (isOwn && web !== undefined) types[TRAFFIC_TYPE] = { ...web, port: portOf(of, options) }
  if (Object.keys(types).length === 0)
    throw new ImageUnusable('the image has neither ENTRYPOINT nor CMD', 'add one to its Dockerfile')
  return { processTypes: types, warnings }
}

type RunConfig = NonNullable<ImageConfig['config']>

function portOf(config: RunConfig, options: { port?: number | undefined; isBuilt?: boolean }): number {
  const asked = options.port
  if (asked !== undefined) return asked
  const own = /^PORT=(\d{1,5})$/.exec((config.Env ?? []).find((entry) => entry.startsWith('PORT=')) ?? '')?.[1]
  if (own !== undefined && isPort(Number(own))) return Number(own)
  const exposed = Object.keys(config.ExposedPorts ?? {})
    .flatMap((entry) => /^(\d{1,5})(?:\/tcp)?$/.exec(entry)?.[1] ?? [])
    .map(Number)
    .filter(isPort)
  const [only = APP_PORT, ...others] = [...new Set(exposed)]
  if (others.length === 0) return only
  throw new ImageUnusable(
    `the image exposes several ports: ${[only, ...others].join(', ')}`,
    options.isBuilt === true
      ? `say in the Dockerfile which one is for HTTP: ENV PORT=${only}`
      : `say which one is for HTTP: --port ${only}`,
  )
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535
}

/** Types and command lines of an image made by buildpacks, or null. */
function buildpackTypes(label: string | undefined): Record<string, string> | null {
  if (label === undefined) return null
  let json: unknown
  try {
    json = JSON.parse(label)
  } catch {
    return null
  }
  const { processes } = json as { processes?: unknown }
  if (!Array.isArray(processes)) return null
  const types: Record<string, string> = {}
  for (const process of processes as { type?: unknown; command?: unknown; args?: unknown }[]) {
    if (typeof process?.type !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(process.type)) continue
    types[process.type] = [process.command, process.args]
      .flat()
      .filter((part) => typeof part === 'string')
      .join(' ')
  }
  return Object.keys(types).length === 0 ? null : types
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A, key: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))
}
