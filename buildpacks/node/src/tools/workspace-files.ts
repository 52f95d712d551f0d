import { globSync } from 'node:fs'
import { join } from 'node:path'
import { workspaceGlobs, type PackageJson } from '../package-json.js'

/** The package.json files of an app's workspaces, below `folder`. */
export function workspaceFiles(folder: string, app: PackageJson): string[] {
  const patterns = workspaceGlobs(app).map((pattern) => join(pattern, 'package.json'))
  return globSync(patterns, { cwd: folder, exclude: ['**/node_modules/**'] }).toSorted()
}
