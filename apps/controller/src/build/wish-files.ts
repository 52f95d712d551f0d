import { Injectable } from '@nestjs/common'
import { git } from '../push/git.js'
import { readObjects } from '../push/object-reader.js'
import { WISH_FILES, type WishFiles } from './build-wishes.js'

/** Each may hold a MiB of each file. */
const MAX_KEPT = 4

/**
 * The files of a tree by which its app tells how it is built: read from git, or kept since the push was checked. A tree never changes
 * under its id, and a build asks for them twice.
 */
@Injectable()
export class WishFileReader {
  readonly #kept = new Map<string, Promise<WishFiles>>()

  /** Takes over what somebody has read already. */
  keep(repository: string, tree: string, files: WishFiles): void {
    this.#keep(`${repository} ${tree}`, Promise.resolve(files))
  }

  /** By name; links and folders are none. */
  of(repository: string, tree: string): Promise<WishFiles> {
    const key = `${repository} ${tree}`
    const known = this.#kept.get(key)
    if (known !== undefined) return known
    const reading = readWishFiles(repository, tree)
    this.#keep(key, reading)
    reading.catch(() => this.#kept.delete(key))
    return reading
  }

  #keep(key: string, files: Promise<WishFiles>): void {
    this.#kept.delete(key)
    this.#kept.set(key, files)
    for (const oldest of [...this.#kept.keys()].slice(0, -MAX_KEPT)) this.#kept.delete(oldest)
  }
}

async function readWishFiles(repository: string, tree: string): Promise<WishFiles> {
  const listed = await git(repository, ['ls-tree', '-z', '--full-tree', tree, '--', ...WISH_FILES])
  const wanted = listed.split('\0').flatMap((entry) => {
    const [, objectId, name] = /^100(?:644|755) blob ([0-9a-f]{40,64})\t(.*)$/.exec(entry) ?? []
    return objectId === undefined || name === undefined ? [] : [{ objectId, name }]
  })
  const files = new Map<string, string>()
  await readObjects(repository, wanted, ({ name }, bytes) => files.set(name, bytes.toString('utf8')))
  return files
}
