import { randomUUID } from 'node:crypto'
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, failpoint, messageOf, systemClock, type Logger } from '@croft/kit'
import { REMOVE_TIMEOUT_MS, removeTree, removeTreesCommand } from '../depot/remove-tree.js'
import type { Networker } from '../networker/apply.js'
import type { Starter } from '../shim/starter.js'

/** On its way off the disk: no handle, and nothing of runc's, begins so. */
const GONE = '.gone-'
export const isGoing = (name: string): boolean => name.startsWith(GONE)
/** A destroy waits while the files of so many containers are still going, or they would go slower than they come. */
const MAX_TREES = 64
const GATHER_MS = 50
/** Their names go into one command line. */
const MAX_AT_ONCE = 500
const LINK_ATTEMPTS = 5
const LINK_PAUSE_MS = 1_000

/**
 * What of a destroyed container goes behind the answer: its files, out of the depot already, and its link, which the kernel
 * takes along some time after the last process. Neither bears the handle or holds the address; the link has the slot's name,
 * so the slot waits for it. If this process dies meanwhile the next one finds both by the home's marks and removes them.
 */
export class Drains {
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #links = new Set<number>()
  /** Trees to remove, and those being removed. */
  #trees: string[] = []
  #going: Promise<void> | undefined

  constructor(
    private readonly networker: Pick<Networker, 'unlink'>,
    private readonly starter: Pick<Starter, 'run'>,
    private readonly logger: Logger,
  ) {}

  /** Resolves when the link of a slot is gone, with false when it does not go. Never rejects. */
  async endLink(slot: number): Promise<boolean> {
    return await this.#follow(this.#endLink(slot))
  }
  /** Slots whose links are on their way out. */
  get links(): ReadonlySet<number> {
    return this.#links
  }

  /** Takes a folder out of the one it lies in; its files go off the disk behind that. One that is gone is fine. */
  async removeFolder(dir: string, name: string): Promise<void> {
    const away = join(dir, `${GONE}${randomUUID()}`)
    try {
      await rename(join(dir, name), away)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return
      throw error
    }
    this.removeTree(away)
    while (this.#trees.length > MAX_TREES) await this.#going
  }
  /** Goes on with what an earlier daemon was removing. */
  async removeGone(dir: string): Promise<void> {
    for (const name of await readdir(dir)) if (isGoing(name)) this.removeTree(join(dir, name))
  }
  /** Takes a tree that nobody looks at any more off the disk. */
  removeTree(path: string): void {
    this.#trees.push(path)
    this.#going ??= this.#follow(this.#removeTrees())
  }

  /** Until nothing is left that drains, or the time is over. */
  async settled(timeoutMs: number): Promise<void> {
    const patience = new AbortController()
    const over = systemClock.sleep(timeoutMs, patience.signal).catch(() => undefined)
    await Promise.race([Promise.all(this.#underWay), over])
    patience.abort()
  }

  async #endLink(slot: number): Promise<boolean> {
    this.#links.add(slot)
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          await this.networker.unlink(slot)
          return true
        } catch (error) {
          this.logger.warn('link-left', { slot, why: messageOf(error) })
          if (attempt >= LINK_ATTEMPTS) return false // the next daemon tries again
          await systemClock.sleep(LINK_PAUSE_MS)
        }
      }
    } finally {
      this.#links.delete(slot)
    }
  }
  /** Never rejects. What gathers in a while goes together: starting a program costs more than it does for one tree. */
  async #removeTrees(): Promise<void> {
    while (this.#trees.length > 0) {
      await systemClock.sleep(GATHER_MS)
      const paths = this.#trees.splice(0, MAX_AT_ONCE)
      failpoint('container-files-go')
      await this.starter
        .run(removeTreesCommand(paths), REMOVE_TIMEOUT_MS)
        .catch(() => removeEach(paths)) // nothing is started where a platform is taken down
        .catch((error: unknown) => this.logger.error('container-files-left', { paths, why: messageOf(error) }))
    }
    this.#going = undefined
  }
  async #follow<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    try {
      return await work
    } finally {
      this.#underWay.delete(work)
    }
  }
}

async function removeEach(paths: readonly string[]): Promise<void> {
  for (const path of paths) await removeTree(path)
}
