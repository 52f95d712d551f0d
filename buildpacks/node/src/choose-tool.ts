import { posix } from 'node:path'
import exactVersion from 'semver/functions/valid.js'
import intersects from 'semver/ranges/intersects.js'
import validRange from 'semver/ranges/valid.js'
import { BuildFailure } from '@croft/buildpack-kit'
import type { ToolName } from './package-tool.js'
import type { PackageJson } from './package-json.js'

/** A manager from the npm registry. */
export interface WantedTool {
  /** Its name there. */
  package: 'yarn' | '@yarnpkg/cli-dist' | 'pnpm'
  range: string
  /** `sha512.<hex>`: what packageManager says of its bytes; null when it says nothing. */
  hash: string | null
  /** Where it is asked for; null when the lock file alone says it. */
  source: string | null
}

/** Yarn as a file of the app. */
export interface CommittedTool {
  path: string
  version: string
}

export type ChosenTool = { warnings: string[] } & (
  | { kind: 'npm'; lockFile: string | null }
  | { kind: 'yarn-classic' | 'yarn'; lockFile: string; program: WantedTool | CommittedTool }
  | { kind: 'pnpm'; lockFile: string; program: WantedTool }
)

const LOCK_FILES: readonly (readonly [file: string, name: ToolName])[] = [
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
  ['yarn.lock', 'yarn'],
  ['pnpm-lock.yaml', 'pnpm'],
]
const KNOWN: readonly string[] = ['npm', 'yarn', 'pnpm']

/** What package.json says of a manager. */
interface Said {
  name: string
  /** A range; null when only the name is said. */
  version: string | null
  hash: string | null
  source: string
}

/**
 * Which package manager installs an app, and in which version: the lock file says which, `packageManager`, `devEngines` or `engines`
 * of package.json in which version, else the lock file's own format. With more than one lock file package.json has to name the
 * manager; without any it is npm. `read` gives the text of a file of the app, null when it is not there. Pure.
 * @throws BuildFailure when these contradict one another
 */
export function chooseTool(app: PackageJson, read: (file: string) => string | null): ChosenTool {
  const said = saidOf(app)
  const locks = LOCK_FILES.filter(([file]) => read(file) !== null)
  const names = [...new Set(locks.map(([, name]) => name))]
  const [only] = names
  if (only === undefined) return withoutLock(said)
  if (names.length > 1 && (said === null || !names.some((name) => name === said.name))) {
    throw new BuildFailure(
      `there are lock files of ${names.join(' and ')}: ${locks.map(([file]) => file).join(', ')}`,
      'remove the one that is not kept up to date, or name the package manager in package.json ("packageManager")',
    )
  }
  const name = names.length > 1 ? (said?.name as ToolName) : only
  if (said !== null && said.name !== name) {
    throw new BuildFailure(
      `package.json asks for ${said.name} (${said.source}), and the lock file is that of ${name}`,
      `correct ${said.source}, or commit the lock file of ${said.name} instead`,
    )
  }
  const warnings = locks.filter(([, other]) => other !== name).map(([file]) => `${file} is not read; remove it`)
  const lockFile = locks.find(([, other]) => other === name)?.[0] ?? ''
  if (name === 'npm') return { kind: 'npm', lockFile, warnings }
  const lock = read(lockFile) ?? ''
  if (name === 'pnpm') {
    const program = { package: 'pnpm' as const, ...wanted(app, said, pnpmLines(lock), lockFile) }
    return { kind: 'pnpm', lockFile, program, warnings }
  }
  const kind = lock.includes('__metadata:') ? 'yarn' : 'yarn-classic'
  const committed = committedYarn(kind, read)
  const found = committed ?? {
    package: kind === 'yarn' ? ('@yarnpkg/cli-dist' as const) : ('yarn' as const),
    ...wanted(app, said, kind === 'yarn' ? yarnLines(lock) : CLASSIC_LINES, lockFile),
  }
  return { kind, lockFile, program: found, warnings }
}

function withoutLock(said: Said | null): ChosenTool {
  const warnings = ['there is no package-lock.json: versions may differ from one build to the next']
  if (said !== null && said.name !== 'npm') {
    const what = KNOWN.includes(said.name) ? `its lock file is not committed` : 'which builds do not know'
    warnings.push(`package.json asks for ${said.name}, ${what}: npm is used`)
  }
  return { kind: 'npm', lockFile: null, warnings }
}

function saidOf(app: PackageJson): Said | null {
  const source = 'packageManager'
  const text = app.raw[source]
  if (typeof text === 'string' && text !== '') {
    const match = /^(\w+)@([^+]+(?:\+(?!sha)[^+]*)?)(?:\+(sha(?:1|224|256|384|512)\.[0-9a-f]+))?$/.exec(text)
    const version = exactVersion(match?.[2])
    if (match === null || version === null) {
      throw new BuildFailure(
        `packageManager in package.json says "${text}", which is no manager and version`,
        'write it as e.g. "yarn@4.18.1" or "pnpm@10.34.9"',
      )
    }
    return { name: match[1] ?? '', version, hash: match[3] ?? null, source }
  }
  const engines = app.raw['devEngines'] as { packageManager?: unknown } | undefined
  const [first]: unknown[] = [engines?.packageManager].flat()
  if (typeof first !== 'object' || first === null || !('name' in first) || typeof first.name !== 'string') return null
  const version = 'version' in first && typeof first.version === 'string' ? first.version : null
  return { name: first.name, version, hash: null, source: 'devEngines.packageManager' }
}

/** The version of a manager: what package.json asks for among those that write such a lock file. */
function wanted(
  app: PackageJson,
  said: Said | null,
  lines: readonly string[],
  lockFile: string,
): Omit<WantedTool, 'package'> {
  const name = lockFile === 'yarn.lock' ? 'yarn' : 'pnpm'
  const engine = app.engines[name]
  const source = said?.version != null ? said.source : engine === undefined ? null : `engines.${name}`
  const asked = said?.version ?? engine ?? null
  const [first = '*'] = lines
  if (asked === null) return { range: first, hash: null, source: null }
  const range = validRange(asked)
  if (range === null) {
    throw new BuildFailure(`${source} in package.json asks for ${name} "${asked}", which is no version`, 'correct it')
  }
  const line = lines.find((one) => intersects(one, range))
  if (line === undefined) {
    throw new BuildFailure(
      `${source} in package.json asks for ${name} ${asked}, and ${lockFile} is one of ${name} ${lines.join(' or ')}`,
      `run ${name} install with the version that is asked for, commit ${lockFile} and push again`,
    )
  }
  if (exactVersion(asked) !== null) return { range: asked, hash: said?.hash ?? null, source }
  const both = range.split('||').map((part) => `${part.trim()} ${validRange(line) ?? line}`.trim())
  return {
    range: both.filter((part) => validRange(part) !== null && isPossible(part)).join(' || '),
    hash: null,
    source,
  }
}

/** Whether a version can be in the range at all. */
function isPossible(range: string): boolean {
  return intersects(range, '*', { includePrerelease: true })
}

const CLASSIC_LINES = ['1.x']

/** Which versions of yarn write this lock file as it is, the best first. */
function yarnLines(lock: string): readonly string[] {
  const version = Number(/^__metadata:[\s\S]*?^ +version: "?(\d+)/m.exec(lock)?.[1] ?? 8)
  if (version >= 10) return ['>=4.15.0 <5.0.0', '>=4.15.0']
  if (version === 9) return ['~4.14.0']
  if (version >= 7) return ['>=4.0.0 <4.14.0']
  return version >= 5 ? ['3.x'] : ['2.x']
}

/** Which versions of pnpm read this lock file as it is, the best first. */
function pnpmLines(lock: string): readonly string[] {
  const version = Number(/^lockfileVersion: *['"]?(\d+)/m.exec(lock)?.[1] ?? 9)
  if (version >= 9) return ['10.x', '>=9.0.0']
  return version >= 6 ? ['8.x'] : ['7.x', '>=3.0.0 <8.0.0']
}

/** A release of yarn that is committed with the app, where its configuration says so. */
function committedYarn(kind: 'yarn' | 'yarn-classic', read: (file: string) => string | null): CommittedTool | null {
  const named =
    kind === 'yarn'
      ? /^yarnPath: *["']?([^"'\s]+)/m.exec(read('.yarnrc.yml') ?? '')
      : /^"?yarn-path"?:? +"?([^"\s]+)/m.exec(read('.yarnrc') ?? '')
  if (named === null) return null
  const path = posix.normalize(named[1] ?? '')
  const file = kind === 'yarn' ? '.yarnrc.yml' : '.yarnrc'
  if (path.startsWith('..') || path.startsWith('/') || read(path) === null) {
    throw new BuildFailure(`${file} names ${path}, which is not in the app`, `commit it, or take it out of ${file}`)
  }
  return { path, version: /yarn-(\d+\.\d+\.\d+[\w.-]*?)\.[cm]?js$/.exec(path)?.[1] ?? 'committed' }
}
