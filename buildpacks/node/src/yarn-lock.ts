import validRange from 'semver/ranges/valid.js'
import type { PackageJson } from './package-json.js'

/** The lock file of yarn 1. Pure. */

const PUBLIC = /^( {2}resolved ")https?:\/\/(?:registry\.yarnpkg\.com|registry\.npmjs\.org)\//gm

/** The lock file with addresses of the public registry turned into those of another; every package is still checked by its integrity. */
export function fromRegistry(lock: string, registry: string): string {
  return lock.replace(PUBLIC, (_all, before: string) => `${before}${registry.replace(/\/*$/, '/')}`)
}

/** The first dependency of the app or of one of its workspaces that the lock file does not have, as `name@range`; or null. */
export function missingInLock(lock: string, app: PackageJson, workspaces: readonly PackageJson[]): string | null {
  const own = new Set(workspaces.map(({ raw }) => raw['name']))
  const settled = Object.keys(app.raw['resolutions'] ?? {}).map((key) => key.replace(/^.*\*\*\//, ''))
  const locked = new Set(
    lock.split('\n').flatMap((line) =>
      /^[^\s#].*:$/.test(line)
        ? line
            .slice(0, -1)
            .split(', ')
            .map((key) => key.replace(/^"(.*)"$/, '$1'))
        : [],
    ),
  )
  for (const { dependencies, devDependencies, optionalDependencies } of [app, ...workspaces]) {
    for (const [name, range] of Object.entries({ ...devDependencies, ...optionalDependencies, ...dependencies })) {
      const isFromRegistry = validRange(range) !== null && !own.has(name) && !settled.includes(name)
      if (isFromRegistry && !locked.has(`${name}@${range}`)) return `${name}@${range}`
    }
  }
  return null
}
