/** Gemfile.lock as Bundler writes it. Pure. */

export interface LockedGem {
  name: string
  version: string
  /** Null for gems that run everywhere. */
  platform: string | null
  /** Names only. */
  dependencies: string[]
  source: 'registry' | 'git' | 'path'
}

export interface GemfileLock {
  /** One of a name, or several that differ in platform. */
  gems: LockedGem[]
  /** What the Gemfile names, whatever the group. */
  direct: string[]
  platforms: string[]
  bundledWith: string | null
}

const SOURCES: Record<string, LockedGem['source']> = {
  GEM: 'registry',
  GIT: 'git',
  PATH: 'path',
  'PLUGIN SOURCE': 'registry',
}

/** Reads a lock file; what is not known to it is passed over, as Bundler does. */
export function parseGemfileLock(text: string): GemfileLock {
  const lock: GemfileLock = { gems: [], direct: [], platforms: [], bundledWith: null }
  let section = ''
  for (const line of text.replaceAll('\r\n', '\n').split('\n')) {
    const source = SOURCES[section]
    if (/^[A-Z]/.test(line)) section = line.trim()
    else if (source !== undefined) readGem(line, source, lock.gems)
    else if (section === 'PLATFORMS' && line.trim() !== '') lock.platforms.push(line.trim())
    else if (section === 'BUNDLED WITH' && line.trim() !== '') lock.bundledWith = line.trim()
    else if (section === 'DEPENDENCIES') {
      const name = /^ {2}([^\s!]+)/.exec(line)?.[1]
      if (name !== undefined) lock.direct.push(name)
    }
  }
  return lock
}

function readGem(line: string, source: LockedGem['source'], gems: LockedGem[]): void {
  const gem = /^ {4}(\S+) \(([^)-]+)(?:-([^)]+))?\)/.exec(line)
  if (gem !== null) {
    const [, name = '', version = '', platform = null] = gem
    gems.push({ name, version, platform, dependencies: [], source })
    return
  }
  const dependency = /^ {6}([^\s!]+)/.exec(line)?.[1]
  if (dependency !== undefined) gems.at(-1)?.dependencies.push(dependency)
}

/** The gems that `names` need, themselves included, in the lock file's order. */
export function closure(lock: GemfileLock, names: readonly string[]): LockedGem[] {
  const needed = new Set<string>()
  const waiting = [...names]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (needed.has(name)) continue
    needed.add(name)
    for (const gem of lock.gems) if (gem.name === name) waiting.push(...gem.dependencies)
  }
  return lock.gems.filter(({ name }) => needed.has(name))
}
