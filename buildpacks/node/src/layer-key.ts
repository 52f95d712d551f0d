import { createHash } from 'node:crypto'
import type { PackageJson } from './package-json.js'

/** Everything that decides what an install brings. */
export interface KeyInputs {
  app: PackageJson
  /** The text of the lock file; null without one. */
  lock: string | null
  npmrc: string | null
  nodeVersion: string
  npmVersion: string
  nodeEnv: string
  /** Whether development dependencies are installed too. */
  withDev: boolean
  /** Distribution and architecture: compiled packages are bound to them. */
  platform: string
}

/** The same key means the same dependencies: then npm is not run. Pure. */
export function dependencyKey(inputs: KeyInputs): string {
  const { app } = inputs
  const parts = [
    'v1',
    inputs.lock,
    inputs.npmrc,
    app.dependencies,
    inputs.withDev ? app.devDependencies : null,
    app.optionalDependencies,
    app.raw['overrides'] ?? null,
    app.raw['bundleDependencies'] ?? app.raw['bundledDependencies'] ?? null,
    Object.entries(app.scripts).filter(([name]) => /install|prepare/.test(name)),
    inputs.nodeVersion,
    inputs.npmVersion,
    inputs.nodeEnv,
    inputs.withDev,
    inputs.platform,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
