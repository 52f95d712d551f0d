import type { Stats } from 'node:fs'
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { bareEnv, errnoOf, run } from '@croft/kit'

const UNPACK_TIMEOUT_MS = 10 * 60_000
const MKNOD_TIMEOUT_MS = 10_000
/** What an image may bring along; overlayfs's own attributes are not for an image to set. */
const ATTRIBUTES = ['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability']
const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'

/** Differs when a file was changed. */
export const versionOf = ({ size, mtimeMs, ino }: Stats): string => `${size} ${mtimeMs} ${ino}`

/**
 * Unpacks a tar into an empty directory with owners, modes, set-uid bits, devices and attributes as they are in it; GNU tar
 * recognizes a compressed file by itself and leaves the directory by no name or link. @throws CommandFailed
 */
export async function unpackTar(tar: string | Readable, dir: string): Promise<void> {
  const file = typeof tar === 'string' ? tar : '-'
  await run('tar', ['-x', '-f', file, '-C', dir, '-p', '--same-owner', '--numeric-owner', ...ATTRIBUTES], {
    timeoutMs: UNPACK_TIMEOUT_MS,
    env: bareEnv(),
    ...(typeof tar !== 'string' && { input: tar }),
  })
}

/**
 * Turns a layer's whiteouts (`.wh.NAME` files) into overlayfs's (devices 0:0). A directory marked opaque gets one for each entry
 * the layers below have there. `lower`: those trees, uppermost first.
 */
export async function convertWhiteouts(dir: string, lower: readonly string[], path = ''): Promise<void> {
  const entries = await readdir(join(dir, path), { withFileTypes: true })
  const own = new Set(entries.map((entry) => entry.name))
  for (const entry of entries) {
    const at = join(path, entry.name)
    if (entry.isDirectory()) await convertWhiteouts(dir, lower, at)
    else if (entry.name.startsWith(WHITEOUT)) await rm(join(dir, at))
  }
  const hidden = new Set(
    entries.flatMap(({ name }) => (name.startsWith(WHITEOUT) && name !== OPAQUE ? [name.slice(WHITEOUT.length)] : [])),
  )
  if (own.has(OPAQUE)) for (const tree of lower) for (const name of await namesIn(tree, path)) hidden.add(name)
  for (const name of hidden) {
    if (own.has(name)) continue
    const target = join(dir, path, name)
    await run('mknod', [target, 'c', '0', '0'], { timeoutMs: MKNOD_TIMEOUT_MS })
  }
}

/** What a lower tree has in a directory, reached without following a link of its own. */
async function namesIn(tree: string, path: string): Promise<string[]> {
  let at = tree
  try {
    for (const part of path.split('/').filter((one) => one !== '')) {
      at = join(at, part)
      if (!(await lstat(at)).isDirectory()) return []
    }
    return await readdir(at)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
