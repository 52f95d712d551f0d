import { chmodSync, lchownSync, lstatSync, lutimesSync, readdirSync, unlinkSync, type Stats } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { LAYER_MTIME_SECONDS, type Owner } from '@croft/oci'

/** So many entries are dealt with before anything else of the process has its turn. */
const AT_A_TIME = 200
const SLASH = Buffer.from('/')

/**
 * Gives everything in a tree one owner, one time and the modes 755 or 644, and removes what no layer holds: devices, pipes,
 * sockets, the overlay's whiteouts, set-uid bits. What is on disk is then what the layer's tar says. Nobody may write to the tree
 * meanwhile. No program is started for it, and its calls do not go through the thread pool: for the few files of a small app
 * either would be most of the time it takes.
 */
export async function normaliseTree(tree: string, owner: Owner): Promise<void> {
  const pending = [Buffer.from(tree)]
  const directories: Buffer[] = []
  let done = 0
  const takeTurns = async (): Promise<void> => {
    done += 1
    if (done % AT_A_TIME === 0) await setImmediate()
  }
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    directories.push(directory)
    for (const name of readdirSync(directory, { encoding: 'buffer' })) {
      const path = Buffer.concat([directory, SLASH, name]) // a name is bytes, whatever they mean
      const found = lstatSync(path)
      if (found.isDirectory()) pending.push(path)
      else if (found.isFile() || found.isSymbolicLink()) normalise(path, found, owner)
      else unlinkSync(path)
      await takeTurns()
    }
  }
  // the time of a folder is set when nothing below it goes any more
  for (const directory of directories) {
    normalise(directory, lstatSync(directory), owner)
    await takeTurns()
  }
}

function normalise(path: Buffer, found: Stats, { uid, gid }: Owner): void {
  if (found.uid !== uid || found.gid !== gid) lchownSync(path, uid, gid)
  if (!found.isSymbolicLink()) {
    const mode = found.isDirectory() || (found.mode & 0o111) !== 0 ? 0o755 : 0o644
    if ((found.mode & 0o7777) !== mode) chmodSync(path, mode)
  }
  lutimesSync(path, LAYER_MTIME_SECONDS, LAYER_MTIME_SECONDS)
}
