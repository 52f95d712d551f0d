import { Readable } from 'node:stream'
import { bareEnv, run } from '@croft/kit'
import { pack } from 'tar-stream'
import type { LayerMarks } from './unpack-layer.js'

const TIMEOUT_MS = 120_000
/** Tells the kernel's overlay that nothing shows through a directory: one mounted by the host's root, and one in a user namespace. */
const OPAQUE = ['trusted.overlay.opaque', 'user.overlay.opaque']

/**
 * Writes what a layer hides into its unpacked tree, as overlayfs reads it: a device 0:0 for each name that is gone, an attribute
 * on each directory that nothing shows through. Every parent must be a directory of the tree, as `unpackLayer` leaves them. GNU
 * tar does it in one go, for Node sets no extended attributes. Needs root.
 */
export async function writeOverlayMarks(root: string, marks: LayerMarks): Promise<void> {
  const tar = pack()
  const pax = Object.fromEntries(OPAQUE.map((name) => [`SCHILY.xattr.${name}`, 'y']))
  for (const name of marks.opaque) {
    tar.entry({ name: `./${name}`, type: 'directory', mode: 0o700, pax })
  }
  for (const name of marks.whiteouts) {
    tar.entry({ name: `./${name}`, type: 'character-device', devmajor: 0, devminor: 0, mode: 0 })
  }
  tar.finalize()
  const filter = ['--xattrs', ...OPAQUE.map((name) => `--xattrs-include=${name}`)]
  const args = ['--extract', '--file=-', `--directory=${root}`, '--numeric-owner', '--absolute-names', ...filter]
  await run('tar', args, { timeoutMs: TIMEOUT_MS, env: bareEnv({ LC_ALL: 'C' }), input: Readable.from(tar) })
}
