import { readFileSync, readdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { languagePackage, layerBill, type Component } from '@croft/stacks'

/**
 * The bill of materials of a node_modules folder, whichever manager filled it: every package that lies in it, in those of its
 * packages, in pnpm's own place, and beside the app's own folders that it links to. The same packages give the same text.
 */
export function billOfModules(modules: string): string {
  const found = new Map<string, Component>()
  walk(modules, found, new Set())
  return layerBill([...found.values()])
}

function walk(modules: string, found: Map<string, Component>, seen: Set<string>): void {
  if (seen.has(modules)) return
  seen.add(modules)
  for (const { path, isLink } of packageFolders(modules)) {
    const real = isLink ? ownFolder(path) : path
    if (real === null) continue
    if (!isLink) {
      const component = packageIn(path)
      if (component !== null) found.set(`${component.name} ${component.version}`, component)
    }
    walk(join(real, 'node_modules'), found, seen)
  }
  for (const { name } of entriesOf(join(modules, '.pnpm')))
    walk(join(modules, '.pnpm', name, 'node_modules'), found, seen)
}

/** What may be a package: `name` and `@scope/name`. */
function packageFolders(modules: string): { path: string; isLink: boolean }[] {
  return entriesOf(modules).flatMap((entry) => {
    if (entry.name.startsWith('.')) return []
    const path = join(modules, entry.name)
    if (entry.name.startsWith('@') && entry.isDirectory()) return packageFolders(path)
    return entry.isDirectory() || entry.isSymbolicLink() ? [{ path, isLink: entry.isSymbolicLink() }] : []
  })
}

/** Where a link leads, when it is a folder of the app: a package of another node_modules is found there. */
function ownFolder(link: string): string | null {
  try {
    const path = realpathSync(link)
    return path.includes('/node_modules/') ? null : path
  } catch {
    return null
  }
}

/** What cannot be read, or has no name or version, is no package. */
function packageIn(folder: string): Component | null {
  try {
    const json: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8').replace(/^\uFEFF/, ''))
    const { name, version } = json as { name?: unknown; version?: unknown }
    return typeof name === 'string' && typeof version === 'string' ? languagePackage('npm', name, version) : null
  } catch {
    return null
  }
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}
