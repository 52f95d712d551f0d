import type { LockedGem } from './gemfile-lock.js'

/** Gems as Debian packages them. Pure. */

/** Packages whose name does not follow the rule. */
const ODD_NAMES: Record<string, string> = {
  'bcrypt-ruby': 'ruby-bcrypt',
  bootsnap: 'bootsnap',
  bundler: 'ruby-bundler',
  'concurrent-ruby': 'ruby-concurrent',
  jekyll: 'jekyll',
  pry: 'pry',
  puma: 'puma',
  racc: 'racc',
  rake: 'rake',
  thin: 'thin',
  unicorn: 'unicorn',
}

/** The Debian package of a gem: `mini_mime` is `ruby-mini-mime`. */
export function debianPackage(gem: string): string {
  return ODD_NAMES[gem] ?? `ruby-${gem.toLowerCase().replaceAll('_', '-')}`
}

/** Gems that are there, by the names of their specification files: `rack-2.2.6.4.gemspec`, `nio4r-2.5.8-x86_64-linux.gemspec`. */
export function presentGems(specifications: readonly string[]): Map<string, Set<string>> {
  const present = new Map<string, Set<string>>()
  for (const file of specifications) {
    const [, name, version] = /^(.+?)-(\d[\w.]*?)(?:-[\w-]+)?\.gemspec$/.exec(file) ?? []
    if (name === undefined || version === undefined) continue
    present.set(name, (present.get(name) ?? new Set()).add(version))
  }
  return present
}

/** The highest of release versions; Ruby has a Bundler of its own beside the packaged one. */
export function newestOf(versions: Iterable<string>): string | undefined {
  const numbers = (version: string): number[] => version.split('.').map((part) => Number.parseInt(part, 10))
  return [...versions]
    .toSorted((a, b) => {
      const [left, right] = [numbers(a), numbers(b)]
      const place = left.findIndex((number, index) => number !== right[index])
      return place < 0 ? left.length - right.length : (left[place] ?? 0) - (right[place] ?? 0)
    })
    .at(-1)
}

export interface Disagreement {
  gem: string
  locked: string
  /** The versions that are there; none where Debian has no such package. */
  present: string[]
}

/** Where a lock file and the gems that are there differ. A lock file is never satisfied with another version. */
export function disagreements(
  locked: readonly LockedGem[],
  present: ReadonlyMap<string, ReadonlySet<string>>,
): Disagreement[] {
  const names = [...new Set(locked.filter(({ source }) => source === 'registry').map(({ name }) => name))]
  return names.flatMap((gem) => {
    const versions = [...new Set(locked.filter(({ name }) => name === gem).map(({ version }) => version))]
    const there = present.get(gem) ?? new Set()
    return versions.some((version) => there.has(version))
      ? []
      : [{ gem, locked: versions.join(' or '), present: [...there].toSorted() }]
  })
}

const SHOWN = 4

/** `sinatra 4.0.0 (there is 3.0.5), rack 3.0.8 (there is 2.2.22) and 3 more` */
export function describeDisagreements(found: readonly Disagreement[]): string {
  const shown = found.slice(0, SHOWN).map(({ gem, locked, present }) => {
    const there = present.length === 0 ? 'there is none' : `there is ${present.join(', ')}`
    return `${gem} ${locked} (${there})`
  })
  return shown.join(', ') + (found.length > SHOWN ? ` and ${found.length - SHOWN} more` : '')
}
