import { setImmediate as turn } from 'node:timers/promises'
import { failpoint, messageOf, systemClock, type Logger } from '@croft/kit'
import type { Depot } from '../depot/journal.js'
import { removeTree } from '../depot/remove-tree.js'
import type { Networker } from '../networker/apply.js'

/** A destroy waits while the files of so many containers are still going, or they would go slower than they come. */
const MAX_TREES = 64
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
  #trees = 0
  #lastTree: Promise<void> = Promise.resolve()

  constructor(
    private readonly depot: Depot,
    private readonly networker: Pick<Networker, 'unlink'>,
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

  /** Takes a container's folder out of the depot; its files go off the disk behind that, one tree after the other. */
  async removeFiles(handle: string): Promise<void> {
    const away = await this.depot.remove(handle)
    if (away === null) return
    const removed = this.removeTree(away)
    if (this.#trees > MAX_TREES) await removed
  }
  /** Goes on with what an earlier daemon was removing. */
  async removeGone(): Promise<void> {
    for (const tree of await this.depot.gone()) void this.removeTree(tree)
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
  /** Takes a tree that nobody looks at any more off the disk. Never rejects. */
  async removeTree(path: string): Promise<void> {
    this.#trees += 1
    this.#lastTree = this.#lastTree.then(async () => {
      await turn() // whoever waits for an answer comes first
      failpoint('container-files-go')
      await removeTree(path).catch((error: unknown) => {
        this.logger.error('container-files-left', { path, why: messageOf(error) })
      })
      this.#trees -= 1
    })
    await this.#follow(this.#lastTree)
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
