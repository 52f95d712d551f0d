import { createHash } from 'node:crypto'
import type { PackageJson } from './package-json.js'

/** Everything that decides what an install brings. */
export interface KeyInputs {
  app: PackageJson
  /** The text of the lock file; null without one. */
  lock: string | null
  /** What else the manager reads: names and digests. */
  reads: Readonly<Record<string, string>>
  nodeVersion: string
  /** `npm@11.19.1` */
  tool: string
  nodeEnv: string
  /** Whether development dependencies are installed too. */
  withDev: boolean
  /** Distribution and architecture: compiled packages are bound to them. */
  platform: string
}

/** Fields of package.json with which one manager or another changes what it installs. */
const FIELDS = ['overrides', 'resolutions', 'pnpm', 'dependenciesMeta', 'peerDependencies', 'installConfig']

/** The same key means the same dependencies: then the manager is not run. Pure. */
export function dependencyKey(inputs: KeyInputs): string {
  const { app } = inputs
  const lists = [app.dependencies, inputs.withDev ? app.devDependencies : null, app.optionalDependencies]
  return digestOf(['v3', inputs.lock, lists, ground(inputs)])
}

/** The same ground means that packages may be added to what is installed: only what is asked for differs. Pure. */
export function groundKey(inputs: KeyInputs): string {
  return digestOf(['v1', ground(inputs)])
}

function digestOf(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/** Everything but the lock file and the lists of package.json. */
function ground(inputs: KeyInputs): unknown[] {
  const { app } = inputs
  return [
    Object.entries(inputs.reads).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    FIELDS.map((name) => app.raw[name] ?? null),
    app.raw['bundleDependencies'] ?? app.raw['bundledDependencies'] ?? null,
    Object.entries(app.scripts).filter(([name]) => /install|prepare/.test(name)),
    inputs.nodeVersion,
    inputs.tool,
    inputs.nodeEnv,
    inputs.withDev,
    inputs.platform,
  ]
}
