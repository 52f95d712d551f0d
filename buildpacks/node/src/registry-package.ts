import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@croft/buildpack-kit'
import { npmFailure } from './npm-messages.js'

/** The platform's npm, with which programs are fetched. */
export interface RegistryAccess {
  /** npm's package. */
  npm: string
  temporary: string
  env: Record<string, string>
}

export interface FetchedPackage {
  /** Its archive, checked by npm against the integrity that the registry gives. */
  archive: string
  version: string
  /** A folder of its own that the archive lies in. */
  work: string
}

/**
 * Fetches the newest version of a package in a range; null when there is none. `what` names it in messages.
 * @throws BuildFailure when the registry does not answer
 */
export async function fetchPackage(
  name: string,
  range: string,
  what: string,
  access: RegistryAccess,
): Promise<FetchedPackage | null> {
  const work = mkdtempSync(join(access.temporary, 'package-'))
  const flags = ['--json', '--loglevel=error', '--no-update-notifier', '--pack-destination', work]
  const packed = await run(
    process.execPath,
    [join(access.npm, 'bin/npm-cli.js'), 'pack', `${name}@${range}`, ...flags],
    { cwd: work, env: access.env },
  )
  if (packed.exitCode !== 0) {
    if (/code (ETARGET|E404)/.test(packed.stderr)) return null
    throw npmFailure(`fetching ${what}`, packed.exitCode, packed.stdout + packed.stderr)
  }
  const newest = packedArchive(packed.stdout)
  return newest === null
    ? null
    : { archive: join(work, newest.filename.replace(/^.*\//, '')), version: newest.version, work }
}

/** What `npm pack --json` says it packed. */
function packedArchive(stdout: string): { filename: string; version: string } | null {
  const archives = JSON.parse(stdout) as unknown
  const newest: unknown = Array.isArray(archives) ? archives.at(-1) : null
  if (typeof newest !== 'object' || newest === null || !('filename' in newest) || !('version' in newest)) return null
  const { filename, version } = newest
  return typeof filename === 'string' && typeof version === 'string' ? { filename, version } : null
}
