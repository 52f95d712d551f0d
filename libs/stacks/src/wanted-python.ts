import { parse } from 'smol-toml'
import { after, allOf, besides, full, line, releaseOf, type Clause } from './version-clauses.js'

/** Which Python an app asks for. Pure. */

/** The files that say so, in the app's folder. */
export const PYTHON_FILES = [
  '.python-version',
  'runtime.txt',
  '.tool-versions',
  'Pipfile',
  'Pipfile.lock',
  'pyproject.toml',
  'uv.lock',
] as const

/** What a file says; `range` is null where it names no release of CPython, e.g. `pypy3.10`. */
export interface AskedPython {
  text: string
  range: string | null
  source: string
}

/**
 * The Python an app asks for, from the texts of its files; null when it leaves that open or names what nobody can read, which the
 * build tells.
 */
export function wantedPython(files: ReadonlyMap<string, string>): { range: string; source: string } | null {
  const asked = askedPython(files)
  return asked === null || asked.range === null ? null : { range: asked.range, source: asked.source }
}

/**
 * What an app says of its Python: `.python-version`, `runtime.txt`, `.tool-versions`, then `requires` of Pipfile or Pipfile.lock,
 * then `requires-python` or Poetry's `python` of pyproject.toml, then `requires-python` of uv.lock.
 */
export function askedPython(files: ReadonlyMap<string, string>): AskedPython | null {
  const text = (name: string): string => files.get(name) ?? ''
  return (
    version(firstLine(text('.python-version')), '.python-version') ??
    version(firstLine(text('runtime.txt')), 'runtime.txt') ??
    version(/^python[ \t]+(\S+)/m.exec(text('.tool-versions'))?.[1], '.tool-versions') ??
    fromPipfile(tomlOf(text('Pipfile')), 'Pipfile') ??
    fromPipfile(at(jsonOf(text('Pipfile.lock')), '_meta'), 'Pipfile.lock') ??
    fromProject(tomlOf(text('pyproject.toml'))) ??
    specifiers(stringAt(tomlOf(text('uv.lock')), 'requires-python'), 'uv.lock')
  )
}

function firstLine(text: string): string | undefined {
  return text
    .split('\n')
    .map((one) => one.replace(/#.*/, '').trim())
    .find((one) => one !== '')
}

/** A version alone: `3.11` is any of that line, `3.11.4` that one. */
function version(text: string | undefined, source: string): AskedPython | null {
  if (text === undefined || text === '') return null
  const bare = text.replace(/^(?:python|cpython)-?/i, '')
  const release = releaseOf(bare.replace(/\.\*$/, ''))
  return { text: bare, range: release === null ? null : line(release), source }
}

function fromPipfile(document: unknown, source: string): AskedPython | null {
  const exact = stringAt(document, 'requires', 'python_full_version')
  const asked = exact ?? stringAt(document, 'requires', 'python_version')
  return asked === undefined || asked === '*' ? null : version(asked, source)
}

function fromProject(document: unknown): AskedPython | null {
  const requires = stringAt(document, 'project', 'requires-python')
  const asked = requires ?? stringAt(document, 'tool', 'poetry', 'dependencies', 'python')
  return specifiers(asked, requires === undefined ? 'pyproject.toml (tool.poetry)' : 'pyproject.toml')
}

/** Conditions with operators, as PEP 440 and as Poetry write them. */
function specifiers(text: string | undefined, source: string): AskedPython | null {
  if (text === undefined || text.trim() === '' || text.trim() === '*') return null
  const ranges = text.split(/\|\|?/).map((part) => pythonRange(part))
  return { text, range: ranges.every((one) => one !== null) ? ranges.join(' || ') : null, source }
}

/** `>=3.9,<3.12` as a semver range; null for what is none. */
export function pythonRange(text: string): string | null {
  const parts = text
    .split(/,|\s+(?=[<>=!~^])/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
  const clauses = parts.map(pythonClause)
  return clauses.every((clause) => clause !== null) ? allOf(clauses) : null
}

function pythonClause(part: string): Clause | null {
  const [, operator = '', rest = ''] = /^(===|==|!=|~=|>=|<=|>|<|\^|~|=)?\s*(.*)$/.exec(part) ?? []
  if (rest === '*') return ['*']
  const release = releaseOf(rest.replace(/\.\*$/, ''))
  if (release === null) return null
  switch (operator) {
    case '':
    case '=':
    case '==':
    case '===':
    case '~':
      return operator === '~' && release.length >= 3
        ? [`>=${full(release)} <${after(release.slice(0, 2))}`]
        : [release.length === 1 ? `${release[0]}.x` : line(release)]
    case '!=':
      return besides(rest.endsWith('.*') ? release : [...release, 0, 0].slice(0, 3))
    case '~=':
      return release.length < 2 ? null : [`>=${full(release)} <${after(release.slice(0, -1))}`]
    case '^':
      return [`>=${full(release)} <${after(release.slice(0, 1))}`]
    case '<=':
    case '>':
      // `<=3.11` lets 3.11.2 in for whoever writes it: a line is meant, as packaging tools read two numbers of the interpreter
      return release.length >= 3
        ? [`${operator}${full(release)}`]
        : [operator === '>' ? `>=${after(release)}` : `<${after(release)}`]
    default:
      return [`${operator}${full(release)}`]
  }
}

function stringAt(value: unknown, ...path: string[]): string | undefined {
  const found = path.reduce(at, value)
  return typeof found === 'string' ? found : undefined
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

function tomlOf(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
