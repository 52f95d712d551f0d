import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { LifecycleError } from '@croft/lifecycle'
import { listBeneath, readBeneath } from '../build/beneath.js'

/**
 * Reads an image by the trees of its layers, uppermost first, as they lie over one another. No link is followed. A whole folder that
 * an upper layer hides (an opaque one) is not noticed: what lies below it seems to be there.
 */

/** The text of a file, or undefined when there is none. @throws LifecycleError when it is too large */
export async function readInImage(
  trees: readonly string[],
  parts: readonly string[],
  maxBytes: number,
): Promise<string | undefined> {
  for (const tree of trees) {
    const text = await readBeneath(tree, parts, maxBytes).catch((error: unknown) => {
      if (!(error instanceof RangeError)) throw error
      const title = `/${parts.join('/')} of the image is larger than ${maxBytes} bytes`
      throw new LifecycleError('detect', title, 'ask whoever makes the image', { cause: error })
    })
    if (text !== undefined) return text
    if (await isTakenAway(tree, parts)) return undefined
  }
  return undefined
}

/** The names in a folder. */
export async function namesInImage(trees: readonly string[], parts: readonly string[]): Promise<string[]> {
  const there = new Map<string, boolean>()
  for (const tree of trees) {
    for (const { name, isWhiteout } of (await listBeneath(tree, parts)) ?? []) {
      if (!there.has(name)) there.set(name, !isWhiteout)
    }
    if (await isTakenAway(tree, parts)) break
  }
  return [...there].flatMap(([name, isThere]) => (isThere ? [name] : []))
}

/** Whether a layer says, of a file or of a folder on the way to it, that it is no more or a link: then none below it counts. */
async function isTakenAway(tree: string, parts: readonly string[]): Promise<boolean> {
  let at = tree
  for (const part of parts) {
    at = join(at, part)
    const found = await lstat(at).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null
      throw error
    })
    if (found === null) return false
    if (found.isSymbolicLink() || found.isCharacterDevice()) return true
  }
  return false
}
