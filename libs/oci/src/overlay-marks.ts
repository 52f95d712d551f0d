import { Readable } from 'node:stream'
import { bareEnv, run } from '@croft/kit'
import { pack } from 'tar-stream'
import type { LayerMarks } from './unpack-layer.js'

const TIMEOUT_MS = 120_000
/** Tells the kernel's overlay that nothing shows through a directory; only root may write it. */
const OPAQUE = 'trusted.overlay.opaque'

/**
 * Writes what a layer hides into its unpacked tree, as overlayfs reads it: a device 0:0 for each name that is gone, an attribute
 * on each directory that nothing shows through. Every parent must be a directory of the tree, as `unpackLayer` leaves them. GNU
 * tar does it in one go, for Node sets no extended attributes. Needs root.
 */
export async function writeOverlayMarks(root: string, marks: LayerMarks): Promise<void> {
  const tar = pack()
  for (const name of marks.opaque) {
    tar.entry({ name: `./${name}`, type: 'directory', mode: 0o700, pax: { [`SCHILY.xattr.${OPAQUE}`]: 'y' } })
  }
  for (const name of marks.whiteouts) {
    tar.entry({ name: `./${name}`, type: 'character-device', devmajor: 0, devminor: 0, mode: 0 })
  }
  tar.finalize()
  const filter = ['--xattrs', `--xattrs-include=${OPAQUE}`]
  const args = ['--extract', '--file=-', `--directory=${root}`, '--numeric-owner', '--absolute-names', ...filter]
  await run('tar', args, { timeoutMs: TIMEOUT_MS, env: bareEnv({ LC_ALL: 'C' }), input: Readable.from(tar) })
}
