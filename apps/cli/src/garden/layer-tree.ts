import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { chmod, chown, lstat, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { ImageError } from '@croft/garden-api'
import type { LayerReference } from './layer-reference.js'
import type { TreeStore } from './tree-store.js'
import { convertWhiteouts, unpackTar, versionOf } from './unpack.js'

const ALL_MODE_BITS = 0o7777

/**
 * The files of a layer's tar below its directory, to be mounted above the trees it is for: once for each base, since its whiteouts
 * mean nothing alone. `version`: the tar's when it was found to have the digest; `lower`: those trees, uppermost first.
 * @throws ImageError, CommandFailed
 */
export async function layerTree(
  tar: string,
  { path, digest, version }: Pick<LayerReference, 'path' | 'digest'> & { version: string },
  lower: readonly string[],
  trees: TreeStore,
): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([digest, path, lower]))
    .digest('hex')
  return await trees.tree(key, async (dir) => {
    const target = await makeDirectories(dir, path, lower)
    await unpackTar(tar, target)
    if (versionOf(await stat(tar)) !== version) throw new ImageError('the layer was changed while it was unpacked')
    await convertWhiteouts(dir, lower)
  })
}

/** The directory and its parents, with owner and mode of those they come to lie above. */
async function makeDirectories(dir: string, path: string, lower: readonly string[]): Promise<string> {
  let at = ''
  for (const part of path.split('/').filter((one) => one !== '')) {
    at = join(at, part)
    await mkdir(join(dir, at), { mode: 0o755 })
    const below = await directoryIn(lower, at)
    if (below === null) continue
    await chown(join(dir, at), below.uid, below.gid)
    await chmod(join(dir, at), below.mode & ALL_MODE_BITS)
  }
  return join(dir, at)
}

/** The uppermost tree's entry of that path, reached without a link; null when none has it. @throws ImageError for what is no directory */
async function directoryIn(lower: readonly string[], path: string): Promise<Stats | null> {
  for (const tree of lower) {
    try {
      const found = await lstat(join(tree, path))
      if (found.isDirectory()) return found
      throw new ImageError(
        `/${path} is no directory of the image the layer is for`,
        undefined,
        'name another layer_path, one that leads through no link',
      )
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
  return null
}
