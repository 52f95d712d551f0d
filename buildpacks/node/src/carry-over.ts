import { cpSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** What tools and managers note for themselves at the top of node_modules. */
const NOTES =
  /^\.(?:cache|package-lock\.json|package-map\.json|modules\.yaml|yarn-\w+(?:\.yml)?|pnpm-workspace-state[^/]*)(?:\/|$)/

/** Copies what was written below `from` since `sinceMs` to the same place below `to`; caches of tools stay behind. */
export function carryOver(from: string, to: string, sinceMs: number): void {
  for (const entry of readdirSync(from, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const place = relative(from, path)
    if (NOTES.test(place) || statSync(path).ctimeMs < sinceMs) continue
    mkdirSync(dirname(join(to, place)), { recursive: true })
    cpSync(path, join(to, place))
  }
}
