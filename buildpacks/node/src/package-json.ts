import { BuildFailure } from '@croft/buildpack-kit'

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

/** Reads a package.json. @throws BuildFailure when it is no JSON object. Pure. */
export function parsePackageJson(text: string): PackageJson {
  let raw: unknown
  try {
    raw = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new BuildFailure(`package.json is not JSON: ${why}`, 'correct package.json and push again')
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new BuildFailure('package.json is not a JSON object', 'correct package.json and push again')
  }
  const document = raw as Record<string, unknown>
  return {
    raw: document,
    scripts: strings(document['scripts']),
    engines: strings(document['engines']),
    dependencies: strings(document['dependencies']),
    devDependencies: strings(document['devDependencies']),
    optionalDependencies: strings(document['optionalDependencies']),
    hasWorkspaces: document['workspaces'] !== undefined,
    main: typeof document['main'] === 'string' ? document['main'] : null,
  }
}

function strings(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {}
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
