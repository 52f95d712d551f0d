import { createHash } from 'node:crypto'

/** Everything that decides which packages an install brings. */
export interface PackagesInputs {
  /** The files that say what is needed, by name. */
  texts: ReadonlyMap<string, string>
  /** Names and sizes of the wheels that came along. */
  wheels: readonly string[]
  /** What is installed besides. */
  added: readonly string[]
  pythonVersion: string
  /** Settings of pip. */
  settings: Record<string, string>
  /** Distribution and architecture; with the versions of Debian's packages where they come from there. */
  platform: string
}

/** The same key means the same packages: then pip is not run. Pure. */
export function packagesKey(inputs: PackagesInputs): string {
  const parts = [
    'v1',
    [...inputs.texts].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    inputs.wheels.toSorted(),
    inputs.added.toSorted(),
    inputs.pythonVersion,
    Object.entries(inputs.settings).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    inputs.platform,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
