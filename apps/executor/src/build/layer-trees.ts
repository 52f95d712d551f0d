import { chmodSync, chownSync, linkSync, lstatSync, mkdirSync, readdirSync, renameSync, type Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { bareEnv, errnoOf, run } from '@croft/kit'
import { LifecycleError } from '@croft/lifecycle'
import { extract } from 'tar-stream'

/**
 * What a build left of a layer, read from the overlay's upper directory once nobody writes to it any more. Trees are only
 * renamed and hard-linked, never copied.
 */

const COMMAND_TIMEOUT_MS = 120_000
const inC = bareEnv({ LC_ALL: 'C' })

/** `unchanged`: as restored. `replaced`: all of it lies in the upper directory. `modified`: partly. `absent`: there is none. */
export type LayerState = 'unchanged' | 'replaced' | 'modified' | 'absent'

/** What became of the directory `upper`, which showed `lower` (null: nothing) when the build began. */
export async function layerState(upper: string, lower: string | null): Promise<LayerState> {
  const found = await lstat(upper).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  })
  if (found === null) return lower === null ? 'absent' : 'unchanged'
  if (found.isCharacterDevice()) return 'absent'
  if (!found.isDirectory())
    throw new LifecycleError('export', 'a layer is not a folder', 'fix the buildpack that made it')
  if (lower === null) return 'replaced'
  const opaque = await opaqueBelow(upper)
  if (opaque.has('.')) return 'replaced'
  return (await holdsChanges(upper, lower, opaque)) ? 'modified' : 'unchanged'
}

/** Whether anything but copies of the lower's directories lies in the upper directory. */
async function holdsChanges(upper: string, lower: string, opaque: ReadonlySet<string>, at = '.'): Promise<boolean> {
  for (const entry of await readdir(join(upper, at), { withFileTypes: true })) {
    if (!entry.isDirectory()) return true
    const path = join(at, entry.name)
    if (opaque.has(path) || !(await isDirectory(join(lower, path)))) return true
    if (await holdsChanges(upper, lower, opaque, path)) return true
  }
  return false
}

/** Whether a directory of an upper layer hides what lies below it. */
export async function isOpaque(directory: string): Promise<boolean> {
  return (await opaqueOf(directory, ['.'])).has('.')
}

/** The directories at and below one of an upper layer that hide what lies below them, by their paths in it; `.` is itself. */
async function opaqueBelow(directory: string): Promise<Set<string>> {
  const paths = ['.']
  for (const path of paths) {
    const entries = await readdir(join(directory, path), { withFileTypes: true })
    for (const entry of entries) if (entry.isDirectory()) paths.push(join(path, entry.name))
  }
  return opaqueOf(directory, paths)
}

const OPAQUE = 'trusted.overlay.opaque'

/** Those of some directories that bear the overlay's mark. One GNU tar reads them all: Node reads no extended attributes. */
async function opaqueOf(root: string, paths: readonly string[]): Promise<Set<string>> {
  const list = paths.map((path) => `./${path}\0`).join('')
  const what = ['--create', '--no-recursion', '-C', root, '--null', '--files-from=-']
  const how = [
    '--format=posix',
    '--pax-option=delete=atime,delete=ctime,delete=mtime',
    '--xattrs',
    `--xattrs-include=${OPAQUE}`,
  ]
  const { stdout } = await run('tar', [...how, ...what], { timeoutMs: COMMAND_TIMEOUT_MS, env: inC, input: list })
  const tar = extract()
  tar.end(stdout)
  const found = new Set<string>()
  for await (const entry of tar) {
    entry.resume()
    const { name, pax } = entry.header as { name: string; pax?: Record<string, string> | null }
    if (pax?.[`SCHILY.xattr.${OPAQUE}`] === 'y') found.add(normalize(name).replace(/\/$/, ''))
  }
  return found
}

/** Moves a directory that lies wholly in the upper layer; the directory itself is made anew, without the overlay's marks. */
export function moveTree(from: string, to: string): void {
  makeLike(from, to)
  for (const name of readdirSync(from)) renameSync(join(from, name), join(to, name))
}

/** Makes `to` what the build saw at a modified directory: upper entries renamed, lower ones hard-linked, whiteouts obeyed. */
export async function mergeTrees(upper: string, lower: string, to: string): Promise<void> {
  await merge({ upper, lower, to, opaque: await opaqueBelow(upper) }, '.')
}

interface Merge {
  upper: string
  lower: string
  to: string
  opaque: ReadonlySet<string>
}

async function merge(trees: Merge, at: string): Promise<void> {
  const { upper, lower, to, opaque } = trees
  makeLike(join(upper, at), join(to, at))
  const above = readdirSync(join(upper, at), { withFileTypes: true })
  const hidden = new Set(above.map(({ name }) => name))
  const kept = readdirSync(join(lower, at), { withFileTypes: true }).filter(({ name }) => !hidden.has(name))
  await linkEntries(join(lower, at), kept, join(to, at))
  for (const entry of above) {
    const path = join(at, entry.name)
    if (entry.isCharacterDevice()) continue
    if (!entry.isDirectory()) renameSync(join(upper, path), join(to, path))
    else if (!opaque.has(path) && (await isDirectory(join(lower, path)))) await merge(trees, path)
    else moveTree(join(upper, path), join(to, path))
  }
}

/** A new directory with the owner and mode of another one: what is kept for builds must stay theirs. */
function makeLike(directory: string, to: string): void {
  const { uid, gid, mode } = lstatSync(directory)
  mkdirSync(to, { recursive: true })
  chownSync(to, uid, gid)
  chmodSync(to, mode & 0o777)
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isDirectory() === true
}

/**
 * Everything that is no directory is hard-linked, links too. A cache has very many small folders: no program is started for them, and
 * the calls, of microseconds each, do not queue for the thread pool. Others have their turn after each folder.
 */
async function linkEntries(from: string, entries: readonly Dirent[], to: string): Promise<void> {
  for (const entry of entries) {
    const [own, target] = [join(from, entry.name), join(to, entry.name)]
    if (!entry.isDirectory()) {
      linkSync(own, target)
      continue
    }
    makeLike(own, target)
    await linkEntries(own, readdirSync(own, { withFileTypes: true }), target)
  }
  await setImmediate()
}
