import { chmod, chown, lstat, mkdir, readdir, rename, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { sliceApp, type AppEntry, type Slice } from '@croft/lifecycle'

/**
 * Moves what the slices name out of the app folder `app`, each into a folder of its own as `draft` gives it, with the folders it
 * lies in. Resolves to the slices that hold anything, in their order; what none names stays where it is. Nobody else writes to
 * `app` meanwhile. Files are renamed, never copied: `draft` is on the same file system.
 */
export async function moveSlices(
  app: string,
  slices: readonly Slice[],
  draft: () => Promise<string>,
): Promise<{ slice: Slice; folder: string }[]> {
  if (slices.length === 0) return []
  const roots = sliceApp(await entriesOf(app), slices)
  const moved: { slice: Slice; folder: string }[] = []
  for (const [index, paths] of roots.entries()) {
    const slice = slices[index]
    if (slice === undefined || paths.length === 0) continue
    const folder = await draft()
    const parents = new Set<string>()
    for (const path of paths) {
      await makeParents(app, folder, path, parents)
      await rename(join(app, path), join(folder, path))
    }
    // A folder of which everything was taken is in the slice and nowhere else.
    for (const parent of [...parents].toSorted((a, b) => b.length - a.length)) await removeEmpty(join(app, parent))
    moved.push({ slice, folder })
  }
  return moved
}

/** Every entry below a folder, folders before what is in them, in name order; no link is followed. */
async function entriesOf(root: string, below = ''): Promise<AppEntry[]> {
  const entries: AppEntry[] = []
  const found = await readdir(join(root, below), { withFileTypes: true })
  for (const entry of found.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    entries.push({ path, isDirectory: entry.isDirectory() })
    if (entry.isDirectory()) entries.push(...(await entriesOf(root, path)))
  }
  return entries
}

async function makeParents(app: string, folder: string, path: string, made: Set<string>): Promise<void> {
  const parent = dirname(path)
  if (parent === '.' || made.has(parent)) return
  await makeParents(app, folder, parent, made)
  const { uid, gid, mode } = await lstat(join(app, parent))
  await mkdir(join(folder, parent))
  await chown(join(folder, parent), uid, gid)
  await chmod(join(folder, parent), mode & 0o777)
  made.add(parent)
}

async function removeEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder)
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY') throw error
  }
}
