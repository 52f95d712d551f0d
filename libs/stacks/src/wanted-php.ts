import { composerRange, intersection } from './composer-constraint.js'

/** Which PHP an app asks for. Pure. */

/** The files that say so, in the app's folder. */
export const PHP_FILES = ['composer.json', 'composer.lock'] as const

/**
 * The PHP an app asks for, from the texts of its files; null when it leaves that open.
 *
 * `config.platform.php` in composer.json comes first: the dependencies were resolved for that release line. Then `require.php`,
 * which composer.lock repeats, narrowed by what each locked package asks for. What cannot be read asks for nothing here: the build
 * says what is wrong with it.
 */
export function wantedPhp(files: ReadonlyMap<string, string>): { range: string; source: string } | null {
  const manifest = objectOf(files.get('composer.json'))
  const lock = objectOf(files.get('composer.lock'))
  const pinned = /^v?(\d+)\.(\d+)/.exec(textIn(manifest, 'config', 'platform', 'php') ?? '')
  if (pinned !== null) return { range: `${pinned[1]}.${pinned[2]}.x`, source: 'config.platform.php of composer.json' }
  const own = rangeIn(manifest, 'require', 'php')
  const range = own ?? rangeIn(lock, 'platform', 'php')
  if (range === null) return null
  return { range: narrowedBy(packagesOf(lock), range), source: own === null ? 'composer.lock' : 'composer.json' }
}

/** A package that contradicts what the app asks for is left to Composer, which names it. */
function narrowedBy(packages: readonly unknown[], range: string): string {
  return packages.reduce<string>((all, each) => {
    const asked = rangeIn(each, 'require', 'php')
    return asked === null ? all : (intersection(all, asked) ?? all)
  }, range)
}

function packagesOf(lock: unknown): unknown[] {
  const packages = at(lock, 'packages')
  return Array.isArray(packages) ? packages : []
}

function rangeIn(value: unknown, ...path: string[]): string | null {
  const text = textIn(value, ...path)
  return text === null ? null : composerRange(text)
}

function textIn(value: unknown, ...path: string[]): string | null {
  const found = path.reduce(at, value)
  return typeof found === 'string' ? found : null
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

function objectOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
