import { after, allOf, besides, full, line, releaseOf, type Clause } from './version-clauses.js'

/** Which Ruby an app asks for. Pure. */

/** The files that say so, in the app's folder. */
export const RUBY_FILES = [
  '.ruby-version',
  '.tool-versions',
  'Gemfile',
  'gems.rb',
  'Gemfile.lock',
  'gems.locked',
] as const

/** What a file says; `range` is null where it names no release of Ruby that has a number, e.g. `jruby-9.4`. */
export interface AskedRuby {
  text: string
  range: string | null
  source: string
}

/**
 * The Ruby an app asks for, from the texts of its files; null when it leaves that open or names what nobody can read, which the
 * build tells.
 */
export function wantedRuby(files: ReadonlyMap<string, string>): { range: string; source: string } | null {
  const asked = askedRuby(files)
  return asked === null || asked.range === null ? null : { range: asked.range, source: asked.source }
}

/**
 * What an app says of its Ruby: `ruby "..."` of the Gemfile, which Bundler insists on, else `.ruby-version`, else the version that
 * its lock file was made with.
 */
export function askedRuby(files: ReadonlyMap<string, string>): AskedRuby | null {
  const gemfile = files.has('Gemfile') ? 'Gemfile' : 'gems.rb'
  const lock = files.has('Gemfile') ? 'Gemfile.lock' : 'gems.locked'
  return (
    fromGemfile(files.get(gemfile) ?? '', gemfile, files) ??
    fromVersionFile(files, '.ruby-version') ??
    fromLock(files.get(lock) ?? '', lock)
  )
}

function fromGemfile(text: string, source: string, files: ReadonlyMap<string, string>): AskedRuby | null {
  const directive = /^[ \t]*ruby[ \t]*\(?[ \t]*((?:[^\n#]|#(?=\{))+)/m.exec(text)?.[1]
  if (directive === undefined) return null
  const file = /\bfile(?::|['"]?\s*=>)\s*['"]([^'"]+)['"]/.exec(directive)?.[1]
  if (file !== undefined) return fromVersionFile(files, file)
  if (/\bengine(?:_version)?:|:engine/.test(directive) && !/['"]ruby['"]/.test(directive)) {
    return { text: directive.trim(), range: null, source }
  }
  const requirements = leadingStrings(directive)
  if (requirements === null || requirements.length === 0) return null // computed: Bundler will say what it comes to
  const clauses = requirements.map(gemClause)
  const isRead = clauses.every((clause) => clause !== null)
  return { text: requirements.join(', '), range: isRead ? allOf(clauses) : null, source }
}

/** The strings a call begins with, alone or in brackets: `"~> 3.1", "< 3.3", engine: ...`. Null when it begins with something else. */
function leadingStrings(call: string): string[] | null {
  const found: string[] = []
  let rest = call.trim().replace(/^\[/, '')
  for (;;) {
    const next = /^\s*(?:"([^"#]*)"|'([^']*)')\s*(,|\]|\)|$)?/.exec(rest)
    if (next === null) return found.length === 0 ? null : found
    const text = next[1] ?? next[2] ?? ''
    found.push(text)
    rest = rest.slice(next[0].length)
    if (next[3] !== ',') return found
  }
}

/** One requirement as RubyGems reads it; without an operator it is exactly that version. */
export function gemClause(requirement: string): Clause | null {
  const [, operator = '=', version = ''] = /^\s*(=|!=|>=|<=|>|<|~>)?\s*(.*)$/.exec(requirement) ?? []
  const release = releaseOf(version)
  if (release === null) return null
  switch (operator) {
    case '=':
      return [full(release)]
    case '!=':
      return besides([...release, 0, 0].slice(0, 3))
    case '~>':
      return [`>=${full(release)} <${after(release.length === 1 ? release : release.slice(0, -1))}`]
    default:
      return [`${operator}${full(release)}`]
  }
}

/** `.ruby-version`, or the line `ruby` of `.tool-versions`: `3.1` is any of that line. */
function fromVersionFile(files: ReadonlyMap<string, string>, source: string): AskedRuby | null {
  const lines = (files.get(source) ?? '').split('\n').map((one) => one.replace(/#.*/, '').trim())
  const text = source.endsWith('.tool-versions')
    ? lines.map((one) => /^ruby\s+(\S+)/.exec(one)?.[1]).find((one) => one !== undefined)
    : lines.find((one) => one !== '')
  if (text === undefined) return null
  const release = releaseOf(text.replace(/^ruby-/, ''))
  return { text, range: release === null ? null : line(release), source }
}

function fromLock(text: string, source: string): AskedRuby | null {
  const version = /^RUBY VERSION\s*\n\s+ruby (\S+)/m.exec(text)?.[1]
  const release = version === undefined ? null : releaseOf(version.replace(/p\d+$/, ''))
  return version === undefined ? null : { text: version, range: release === null ? null : full(release), source }
}
