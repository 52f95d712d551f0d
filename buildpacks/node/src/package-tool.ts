import type { Workspace } from './workspace.js'

/** Names as people type them. */
export type ToolName = 'npm' | 'yarn' | 'pnpm'

/** What an install brought. */
export interface Installed {
  /** The call, in short: `npm ci`. */
  call: string
  /** How many packages, when the manager says it. */
  packages: number | null
}

/** How one package manager (npm, yarn, pnpm) is driven. What is installed where, and whether at all, is decided by the Installer. */
export interface PackageTool {
  readonly name: ToolName
  readonly version: string
  /** Null: there is none, and versions may differ from one build to the next. */
  readonly lockFile: string | null
  /** Files and folders beside package.json and the lock file that an install reads. */
  readonly reads: readonly string[]
  /** What an install leaves that scripts and the app need to find in the app's folder. */
  readonly leaves: readonly string[]
  /** Files and folders of the app that its install takes the place of. */
  readonly replaces: readonly string[]
  /** Files and folders of the app that nothing needs once the app is built. */
  readonly spends: readonly string[]
  /** Scripts of the app itself that belong to an install, in their order. */
  readonly installScripts: readonly string[]
  /** The layer with its cache of packages. */
  readonly cacheLayer: string
  /** Whether dependencies can only be installed in the app's own folder. */
  readonly mustBeInPlace: boolean
  /** For scripts of the app, which may call the manager. */
  readonly env: Record<string, string>
  /** Installs what the lock file names, or fails. @throws BuildFailure */
  install(folder: string, withDev: boolean): Promise<Installed>
  /** Installs what the lock file names beside what is there already, at the end as `install` would have left it. */
  add?(folder: string): Promise<Installed>
  /** Takes development dependencies out of a folder that has them; no script is run. @throws BuildFailure */
  prune(folder: string): Promise<void>
}

/** What every manager is made with. */
export interface ToolSetting {
  /** The Node of the app. */
  node: string
  workspace: Workspace
  /** A folder that comes back with the next build. */
  cache: string
  /** The registry of the platform; null when it has none of its own, or the app says another one. */
  registry: string | null
  env: Record<string, string>
}

/** How npm told servers and scripts who is calling: some scripts refuse every other manager. */
export function userAgent(name: ToolName, version: string): string {
  return `${name}/${version} npm/? node/${process.version} linux ${process.arch}`
}
