import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Folders that came into being are worth a layer of their own; so many at most. */
const MOST_SLICES = 20

/** The folders at the top of an app and one level below, `vendor/bundle`; links are none. */
export function foldersOf(app: string): string[] {
  const below = (folder: string): string[] =>
    readdirSync(join(app, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name))
  return below('').flatMap((folder) => [folder, ...below(folder)])
}

/**
 * The folders that were made since, each a slice: what a buildpack installed changes less often than the app, so a change of
 * one file ships one small layer. A new folder in a new folder belongs to that one. Pure.
 */
export function slicesOf(before: readonly string[], after: readonly string[]): string[] {
  const were = new Set(before)
  const isNew = (folder: string): boolean => !were.has(folder) && folder !== '.profile.d'
  return after
    .filter((folder) => isNew(folder) && !isNewAbove(folder, isNew))
    .toSorted()
    .slice(0, MOST_SLICES)
    .map(quoted)
}

function isNewAbove(folder: string, isNew: (folder: string) => boolean): boolean {
  const above = folder.split('/').slice(0, -1).join('/')
  return above !== '' && (isNew(above) || above === '.profile.d')
}

/** A path as a pattern that matches only itself. */
function quoted(path: string): string {
  return path.replaceAll(/[\\*?[]/g, (char) => `\\${char}`)
}
