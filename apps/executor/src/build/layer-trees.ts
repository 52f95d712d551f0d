import { chmod, chown, lstat, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { bareEnv, errnoOf, run } from '@croft/kit'
import { LAYER_MTIME_SECONDS, type Owner } from '@croft/oci'
import { LifecycleError } from '@croft/lifecycle'

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
  if (lower === null || (await isOpaque(upper))) return 'replaced'
  return (await holdsChanges(upper, lower)) ? 'modified' : 'unchanged'
}

/** Whether anything but copies of the lower's directories lies in the upper directory. */
async function holdsChanges(upper: string, lower: string): Promise<boolean> {
  for (const entry of await readdir(upper, { withFileTypes: true })) {
    if (!entry.isDirectory()) return true
    const below = await lstat(join(lower, entry.name)).catch(() => null)
    if (below?.isDirectory() !== true) return true
    if (await isOpaque(join(upper, entry.name))) return true
    if (await holdsChanges(join(upper, entry.name), join(lower, entry.name))) return true
  }
  return false
}

/** Whether a directory of an upper layer hides what lies below it. GNU tar reads the mark: Node reads no extended attributes. */
export async function isOpaque(directory: string): Promise<boolean> {
  const { stdout } = await run(
    'tar',
    [
      '--create',
      '--format=posix',
      '--no-recursion',
      '--xattrs',
      '--xattrs-include=trusted.overlay.opaque',
      '-C',
      directory,
      '.',
    ],
    { timeoutMs: COMMAND_TIMEOUT_MS, env: inC },
  )
  return stdout.includes('SCHILY.xattr.trusted.overlay.opaque=y')
}

/** Moves a directory that lies wholly in the upper layer; the directory itself is made anew, without the overlay's marks. */
export async function moveTree(from: string, to: string): Promise<void> {
  await makeLike(from, to)
  for (const name of await readdir(from)) await rename(join(from, name), join(to, name))
}

/** Makes `to` what the build saw at a modified directory: upper entries renamed, lower ones hard-linked, whiteouts obeyed. */
export async function mergeTrees(upper: string, lower: string, to: string): Promise<void> {
  await makeLike(upper, to)
  const above = await readdir(upper, { withFileTypes: true })
  const hidden = new Set(above.map(({ name }) => name))
  const kept = (await readdir(lower)).filter((name) => !hidden.has(name))
  await linkEntries(lower, kept, to)
  for (const entry of above) {
    const from = join(upper, entry.name)
    const target = join(to, entry.name)
    if (entry.isCharacterDevice()) continue
    if (!entry.isDirectory()) await rename(from, target)
    else if (await showsThrough(from, join(lower, entry.name))) await mergeTrees(from, join(lower, entry.name), target)
    else await moveTree(from, target)
  }
}

/** A new directory with the owner and mode of another one: what is kept for builds must stay theirs. */
async function makeLike(directory: string, to: string): Promise<void> {
  const { uid, gid, mode } = await lstat(directory)
  await mkdir(to, { recursive: true })
  await chown(to, uid, gid)
  await chmod(to, mode & 0o777)
}

async function showsThrough(upper: string, lower: string): Promise<boolean> {
  const below = await lstat(lower).catch(() => null)
  return below?.isDirectory() === true && !(await isOpaque(upper))
}

const LINKS_AT_ONCE = 500

async function linkEntries(from: string, names: readonly string[], to: string): Promise<void> {
  for (let at = 0; at < names.length; at += LINKS_AT_ONCE) {
    const some = names.slice(at, at + LINKS_AT_ONCE)
    await run('cp', ['--archive', '--link', `--target-directory=${to}`, '--', ...some.map((name) => `./${name}`)], {
      cwd: from,
      timeoutMs: COMMAND_TIMEOUT_MS,
      env: inC,
    })
  }
}

/**
 * Gives everything in a tree one owner, one time and the modes 755 or 644, and removes what no layer holds: devices, pipes,
 * sockets, the overlay's whiteouts, set-uid bits. What is on disk is then what the layer's tar says.
 */
export async function normaliseTree(tree: string, owner: Owner): Promise<void> {
  const { uid, gid } = owner
  const unwanted = '( ( -type b -o -type c -o -type p -o -type s ) -delete )'
  const owned = `( ( ! -uid ${uid} -o ! -gid ${gid} ) -exec chown -h ${uid}:${gid} {} + )`
  const isPlain = '-type l -o -type d -perm 0755 -o -type f -perm 0755 -o -type f -perm 0644'
  const plain = `( ! ( ${isPlain} ) -exec chmod u=rwX,go=rX,ug-s,-t {} + )`
  const dated = `-exec touch -h -d @${LAYER_MTIME_SECONDS} {} +`
  const expression = `-depth ${unwanted} -o ( ${owned} , ${plain} , ${dated} )`
  await run('find', [tree, ...expression.split(' ')], { timeoutMs: COMMAND_TIMEOUT_MS, env: inC })
}
