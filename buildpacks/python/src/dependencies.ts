import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { parse } from 'smol-toml'
import { BuildFailure } from '@croft/buildpack-kit'
import type { ChosenFile } from './dependency-file.js'
import { projectRequirements, readPipfileLock, readPoetryLock, readUvLock, type Locked } from './lock-files.js'
import type { MarkerEnvironment } from './markers.js'
import { normalName } from './package-name.js'
import { parseRequirementsFile, type Requirement } from './requirements.js'

/** What an app needs, read from the file that says so. */
export interface Dependencies {
  requirements: Requirement[]
  /** With a lock file: every package there will be, each in one version. */
  locked: Locked[] | null
  /** What only pip can install: folders, repositories, archives. */
  foreign: string[]
  /** The files it was read from, with their texts. */
  texts: Map<string, string>
  /** What pip is given: a requirements.txt of the app, or the lines of one. */
  forPip: { file: string } | { lines: string[]; hasEverything: boolean }
}

const MAX_INCLUDES = 20

/** @throws BuildFailure when a file cannot be read */
export function readDependencies(
  appDirectory: string,
  chosen: ChosenFile | null,
  environment: MarkerEnvironment,
): Dependencies {
  if (chosen === null) {
    return { requirements: [], locked: null, foreign: [], texts: new Map(), forPip: { lines: [], hasEverything: true } }
  }
  const texts = new Map([[chosen.file, readFileSync(join(appDirectory, chosen.file), 'utf8')] as [string, string]])
  const text = texts.get(chosen.file) ?? ''
  const project = (): unknown => {
    const path = join(appDirectory, 'pyproject.toml')
    const content = existsSync(path) ? readFileSync(path, 'utf8') : ''
    texts.set('pyproject.toml', content)
    return tomlOf(content, 'pyproject.toml')
  }
  switch (chosen.file) {
    case 'uv.lock':
      return fromLock(readUvLock(text, environment), texts, chosen.file)
    case 'poetry.lock':
      return fromLock(readPoetryLock(text, project(), environment), texts, chosen.file)
    case 'Pipfile.lock':
      return fromLock(readPipfileLock(text, environment), texts, chosen.file)
    case 'requirements.txt':
      return fromRequirements(appDirectory, texts)
    case 'setup.py':
      return { requirements: [], locked: null, foreign: ['.'], texts, forPip: { lines: ['.'], hasEverything: false } }
    case 'Pipfile':
      return fromList(pipfileRequirements(tomlOf(text, 'Pipfile')), texts)
    default:
      return fromList([...projectRequirements(project()), ...poetryRequirements(project())], texts)
  }
}

function fromLock(locked: Locked[], texts: Map<string, string>, file: string): Dependencies {
  const elsewhere = locked.find(({ url }) => url !== null)
  if (elsewhere !== undefined) {
    throw new BuildFailure(
      `${file}: ${elsewhere.name} comes from ${elsewhere.url}, and builds take packages from an index only`,
      'publish it on an index, or commit its wheel in wheels/ and name it in requirements.txt',
    )
  }
  const hasHashes = locked.every(({ hashes }) => hashes.length > 0)
  const lines = locked.map(
    (one) => lineOf(one) + (hasHashes ? one.hashes.map((hash) => ` --hash=${hash}`).join('') : ''),
  )
  return { requirements: locked, locked, foreign: [], texts, forPip: { lines, hasEverything: true } }
}

function fromList(requirements: Requirement[], texts: Map<string, string>): Dependencies {
  const foreign = requirements.flatMap(({ url }) => url ?? [])
  return {
    requirements,
    locked: null,
    foreign,
    texts,
    forPip: { lines: requirements.map(lineOf), hasEverything: false },
  }
}

function lineOf({ name, extras, specifiers, marker, url }: Requirement): string {
  const what = `${name}${extras.length === 0 ? '' : `[${extras.join(',')}]`}${url === null ? specifiers : ` @ ${url}`}`
  return marker === null ? what : `${what} ; ${marker}`
}

/** requirements.txt with all that it includes, below the app's folder. */
function fromRequirements(appDirectory: string, texts: Map<string, string>): Dependencies {
  const found: Dependencies = {
    requirements: [],
    locked: null,
    foreign: [],
    texts,
    forPip: { file: 'requirements.txt' },
  }
  const waiting = ['requirements.txt']
  const done = new Set<string>()
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    if (done.has(file) || done.size >= MAX_INCLUDES) continue
    done.add(file)
    const path = join(appDirectory, file)
    if (normalize(file).startsWith('..') || !existsSync(path)) {
      throw new BuildFailure(
        `requirements.txt includes ${file}, which is not in the app`,
        'add the file and push again',
      )
    }
    const text = readFileSync(path, 'utf8')
    texts.set(file, text)
    const { requirements, includes, foreign } = parseRequirementsFile(text, file)
    found.requirements.push(...requirements)
    found.foreign.push(...foreign, ...requirements.flatMap(({ url }) => url ?? []))
    waiting.push(...includes.map((include) => normalize(join(dirname(file ?? ''), include))))
  }
  return found
}

/** `[packages]` of a Pipfile: `flask = "*"` or a table. */
function pipfileRequirements(document: unknown): Requirement[] {
  return entriesAt(document, 'packages').map(([name, value]) => tableRequirement(name, value))
}

/** `[tool.poetry.dependencies]`, in Poetry's own operators. */
function poetryRequirements(document: unknown): Requirement[] {
  const poetry = valueAt(valueAt(document, 'tool'), 'poetry')
  return entriesAt(poetry, 'dependencies')
    .filter(([name, value]) => name !== 'python' && valueAt(value, 'optional') !== true)
    .map(([name, value]) => {
      const requirement = tableRequirement(name, Array.isArray(value) ? (value as unknown[])[0] : value)
      return { ...requirement, specifiers: poetrySpecifiers(requirement.specifiers) }
    })
}

function tableRequirement(name: string, value: unknown): Requirement {
  const version = typeof value === 'string' ? value : textAt(value, 'version')
  const extras = valueAt(value, 'extras')
  return {
    name: normalName(name),
    extras: Array.isArray(extras) ? extras.filter((one) => typeof one === 'string').map(normalName) : [],
    specifiers: version === null || version === '*' ? '' : version,
    marker: textAt(value, 'markers'),
    url: textAt(value, 'git') ?? textAt(value, 'file') ?? textAt(value, 'path') ?? textAt(value, 'url'),
  }
}

/** `^2.2` and `~2.2` in the operators of PEP 440; a version alone is that one. */
export function poetrySpecifiers(text: string): string {
  const parts = text.split(',').map((part) => part.trim())
  return parts
    .map((part) => {
      const [, operator, version = ''] = /^(\^|~)?\s*(\d[\w.]*)$/.exec(part) ?? []
      if (version === '') return part
      if (operator === undefined) return `==${version}`
      const release = version.split('.').map((one) => Number.parseInt(one, 10))
      const first = release.findIndex((one) => one !== 0)
      const kept = operator === '^' ? (first < 0 ? release.length : first + 1) : Math.min(2, release.length)
      const upper = release.slice(0, kept).map((one, place) => (place === kept - 1 ? one + 1 : one))
      return `>=${version},<${upper.join('.')}`
    })
    .filter((part) => part !== '' && part !== '*')
    .join(',')
}

function tomlOf(text: string, file: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw new BuildFailure(`${file} cannot be read: ${why}`, 'correct it and push again')
  }
}

function valueAt(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

function textAt(value: unknown, key: string): string | null {
  const found = valueAt(value, key)
  return typeof found === 'string' ? found : null
}

function entriesAt(value: unknown, key: string): [string, unknown][] {
  const found = valueAt(value, key)
  return typeof found === 'object' && found !== null ? Object.entries(found) : []
}
