import { createHash } from 'node:crypto'

/** Everything that decides which gems an install brings. */
export interface GemsInputs {
  /** The text of the Gemfile, of the gemspecs beside it, and of the lock file. */
  texts: Record<string, string | null>
  /** Names and sizes of the gems that came along in vendor/cache. */
  vendored: readonly string[]
  rubyVersion: string
  bundlerVersion: string
  without: string
  /** Distribution and architecture: compiled gems are bound to them. */
  platform: string
}

/** The same key means the same gems: then Bundler is not run. Pure. */
export function gemsKey(inputs: GemsInputs): string {
  const parts = [
    'v1',
    Object.entries(inputs.texts).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    inputs.vendored.toSorted(),
    inputs.rubyVersion,
    inputs.bundlerVersion,
    inputs.without,
    inputs.platform,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
