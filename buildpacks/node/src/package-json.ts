import { BuildFailure } from '@croft/buildpack-kit'
import { JsonProblem, lineOfMember, readJson } from '@croft/kit/json-document'

const REMEDY = 'correct package.json, then commit and push again'

/** The parts of an app's package.json that a build looks at. */
export interface PackageJson {
  /** The document as it was written. */
  raw: Record<string, unknown>
  scripts: Record<string, string>
  engines: Record<string, string>
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  optionalDependencies: Record<string, string>
  hasWorkspaces: boolean
  main: string | null
}

/** Reads a package.json. @throws BuildFailure naming the line and the rule. Pure. */
export function parsePackageJson(text: string): PackageJson {
  const document = objectIn(text)
  const dependencies = (name: string): Record<string, string> => {
    const list = record(text, document, name)
    const odd = Object.keys(list).find((key) => typeof list[key] !== 'string')
    if (odd !== undefined) throw wrong(text, [name, odd], 'has to be a text: a version, a range or an address')
    return list as Record<string, string>
  }
  return {
    raw: document,
    scripts: strings(record(text, document, 'scripts')),
    engines: strings(document['engines']),
    dependencies: dependencies('dependencies'),
    devDependencies: dependencies('devDependencies'),
    optionalDependencies: dependencies('optionalDependencies'),
    hasWorkspaces: document['workspaces'] !== undefined,
    main: typeof document['main'] === 'string' ? document['main'] : null,
  }
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const document = readJson(text)
    if (isObject(document)) return document
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    throw new BuildFailure(`package.json, ${error.message}`, REMEDY)
  }
  throw new BuildFailure('package.json, line 1: has to be an object: { ... }', REMEDY)
}

/** The object under a name; an absent one is empty. */
function record(text: string, document: Record<string, unknown>, name: string): Record<string, unknown> {
  const value = document[name] ?? {}
  if (isObject(value)) return value
  throw wrong(text, [name], 'has to be an object: { ... }')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wrong(text: string, path: readonly string[], rule: string): BuildFailure {
  return new BuildFailure(`package.json, line ${lineOfMember(text, path)}: ${path.join('.')} ${rule}`, REMEDY)
}

function strings(value: unknown): Record<string, string> {
  if (!isObject(value)) return {}
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/** Which script builds the app: Heroku's own name wins. */
export function buildScript(scripts: Record<string, string>): string | null {
  return ['heroku-postbuild', 'build'].find((name) => scripts[name] !== undefined) ?? null
}

const LOCAL = /^(?:file:|link:|portal:|workspace:|\.{0,2}\/|patch:(?!.*~\/\.yarn\/patches\/))/

/** The patterns that name folders of workspaces. */
export function workspaceGlobs(app: PackageJson): string[] {
  const value = app.raw['workspaces']
  const list: unknown = Array.isArray(value) ? value : (value as { packages?: unknown } | null | undefined)?.packages
  return Array.isArray(list) ? list.filter((item): item is string => typeof item === 'string') : []
}

/** Whether dependencies lie inside the app's own folders, so that they can only be installed there. */
export function hasLocalDependencies(app: PackageJson): boolean {
  const specs = [app.dependencies, app.devDependencies, app.optionalDependencies].flatMap((list) => Object.values(list))
  return app.hasWorkspaces || specs.some((spec) => LOCAL.test(spec))
}
