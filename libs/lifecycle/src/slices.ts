import { posix } from 'node:path'
import { LifecycleError } from './errors.js'
import type { Slice } from './formats/launch-toml.js'
import { BadPattern, pathMatcher } from './path-match.js'

/** An entry of the app folder, its path relative to it. A link is an entry, never what it points to. */
export interface AppEntry {
  path: string
  isDirectory: boolean
}

/**
 * For each slice the topmost entries that move into it: what a pattern matches, a matched folder with all of its subtree. What an
 * earlier slice took is gone for later ones; what none took is the rest of the app. `entries` lists folders before what is in
 * them. Pure.
 * @throws LifecycleError for a pattern that is malformed
 */
export function sliceApp(entries: readonly AppEntry[], slices: readonly Slice[]): string[][] {
  const taken = new Set<string>()
  const isTaken = (path: string): boolean => {
    for (let at = path; at !== '.'; at = posix.dirname(at)) if (taken.has(at)) return true
    return false
  }
  return slices.map(({ paths }) => {
    const matchers = paths.map(matcherOf)
    const roots: string[] = []
    for (const { path } of entries) {
      if (isTaken(path) || !matchers.some((matches) => matches(path))) continue
      taken.add(path)
      roots.push(path)
    }
    return roots
  })
}

function matcherOf(pattern: string): (path: string) => boolean {
  try {
    const clean = posix.normalize(pattern).replace(/\/$/, '')
    return pathMatcher(clean)
  } catch (error) {
    if (!(error instanceof BadPattern)) throw error
    const title = `a slice in launch.toml has the pattern "${pattern}", which is malformed`
    throw new LifecycleError('export', title, 'fix the buildpack that wrote it', { cause: error })
  }
}
