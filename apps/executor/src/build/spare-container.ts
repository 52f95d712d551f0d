import { randomUUID } from 'node:crypto'
import type { Backend, Container } from '@croft/garden-api'
import { messageOf, type Clock, type Logger } from '@croft/kit'
import { SPARE_PREFIX } from '@croft/protocol'
import { BUILD_PROPERTY, INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY } from '../instance/ports.js'
import type { BuildFolders } from './build-folders.js'
import type { SiteImage } from './build-site.js'
import { destroyContainer } from './make-container.js'
import type { Restored } from './restore-layers.js'
import { hasRoom, type Likeness } from './spare-likeness.js'

/** The deployment of what has just been built goes first. */
const AFTER_MS = 200
const LOOK_EVERY_MS = 50
/** A node that is busy for so long gets none. */
const PATIENCE_MS = 60_000
/** One that nobody took by then goes. */
const KEPT_MS = 15 * 60_000

/** What a container made in advance is called, and whose it is while it is nobody's. */
export interface SpareNames {
  handle: string
  address: string
  properties: Record<string, string>
}

/** A container in which nothing has ever run, with folders of its own. */
export interface MadeSpare {
  container: Container
  image: SiteImage
  folders: BuildFolders
  restored: ReadonlyMap<string, Restored>
  likeness: Likeness
}

/** A spare that is a build's from now on. */
export interface TakenSpare extends MadeSpare {
  names: SpareNames
  /** Makes it the container of an instance. False: it is not usable any more. */
  becomes(instanceId: string): Promise<boolean>
  /** What is left of it goes: container, folders and address. Never rejects. */
  release(): Promise<void>
}

/** Makes a spare under these names; leaves nothing behind when it throws. */
export type MakeSpare = (names: SpareNames, signal: AbortSignal) => Promise<MadeSpare>

/** The node a spare is on. */
export interface SpareNode {
  addressOf(id: string): Promise<string>
  freeAddress(id: string): Promise<void>
  /** Whether an instance is being made, or a build runs. */
  isBusy(): boolean
}

export interface SpareOptions {
  backend: Pick<Backend, 'destroy' | 'capacity' | 'containers'>
  clock: Clock
  logger: Logger
  /** Memory that may be used. */
  availableBytes: () => number
}

interface Place {
  id: string
  appId: string
  /** Of which its layers come. */
  image: string
  stop: AbortController
  /** Undefined while it waits for the node to be calm; null when it was not to be. */
  made: Promise<MadeSpare | null> | undefined
  isTaken: boolean
}

/**
 * The one container that an executor has made in advance, for the next build of the app it built last: no code of anybody has run in
 * it, and it has files of no other app. It is made when the node is calm, and gone when a build has taken it, nobody has for a
 * while, the node is short of something or the executor ends; one that a killed executor left is unknown to the next, as
 * any container is.
 */
export class SpareContainer {
  readonly #options: SpareOptions
  #node: SpareNode | undefined
  #place: Place | undefined
  /** Names of those that exist, or are about to: also of one that a build has taken. */
  readonly #ids = new Set<string>()
  readonly #underWay = new Set<Promise<void>>()
  #maxContainers = Infinity

  constructor(options: SpareOptions) {
    this.#options = options
  }

  /** From now on there may be one. */
  open(node: SpareNode): void {
    this.#node = node
  }

  /** Those under which it has containers and addresses. */
  get ids(): string[] {
    return [...this.#ids]
  }
  /** The image of which layers are in use in it. */
  get image(): string | null {
    return this.#place?.image ?? null
  }

  /** Has one made for the next build of an app, in place of the present one. Returns at once. */
  prepare({ appId, image }: { appId: string; image: string }, make: MakeSpare): void {
    this.giveUp()
    const node = this.#node
    if (node === undefined) return
    const id = `${SPARE_PREFIX}${randomUUID()}`
    const place: Place = { id, appId, image, stop: new AbortController(), made: undefined, isTaken: false }
    this.#place = place
    void this.#keepTrack(this.#live(place, node, make))
  }

  /** The spare of an app; null when there is none. One that is being made is waited for: it is ahead of another. */
  async take(appId: string): Promise<TakenSpare | null> {
    const place = this.#place
    const node = this.#node
    if (place?.appId !== appId || node === undefined) return null
    this.#place = undefined
    if (place.made === undefined) {
      place.stop.abort(new Error('a build has begun'))
      return null
    }
    place.isTaken = true
    const made = await place.made
    place.stop.abort(new Error('a build has taken it'))
    if (made === null) {
      await this.#remove(place, node)
      return null
    }
    const { handle, properties } = made.likeness.container
    return {
      ...made,
      names: { handle, address: made.likeness.container.network ?? '', properties: properties ?? {} },
      becomes: async (instanceId) => {
        try {
          await made.container.setProperty(INSTANCE_PROPERTY, instanceId)
          this.#options.logger.info('spare-taken', { handle, instance: instanceId })
          return true
        } catch (error) {
          this.#options.logger.warn('spare-lost', { handle, why: messageOf(error) })
          return false
        }
      },
      release: async () => await this.#keepTrack(this.#remove(place, node, made)),
    }
  }

  /** Goes when the node is short of memory or of containers, of which it has so many and needs so many more. */
  makeRoom(containers: number): void {
    if (this.#place === undefined) return
    const availableBytes = this.#options.availableBytes()
    if (!hasRoom({ containers, maxContainers: this.#maxContainers, availableBytes })) this.giveUp()
  }

  /** What is not a build's goes, which this does not wait for. */
  giveUp(): void {
    this.#place?.stop.abort(new Error('the spare is given up'))
    this.#place = undefined
  }

  /** Resolves when nothing is left, and there will be none; builds must be over. */
  async close(): Promise<void> {
    this.#node = undefined
    this.giveUp()
    await Promise.all(this.#underWay)
  }

  /** From its making to its end, or until a build takes it. Never rejects. */
  async #live(place: Place, node: SpareNode, make: MakeSpare): Promise<void> {
    const { clock, logger } = this.#options
    const { signal } = place.stop
    let made: MadeSpare | null = null
    try {
      if (await this.#isCalm(node, signal)) {
        this.#ids.add(place.id)
        place.made = this.#make(place, node, make)
        made = await place.made
        if (made !== null) await clock.sleep(KEPT_MS, signal)
      }
    } catch (error) {
      if (!signal.aborted) logger.warn('spare-not-kept', { why: messageOf(error) })
    }
    if (place.isTaken) return
    if (this.#place === place) this.#place = undefined
    if (place.made !== undefined) await this.#remove(place, node, made)
  }

  /** Null when it cannot be had, which only makes the next build take longer. Never rejects. */
  async #make({ id, stop: { signal } }: Place, node: SpareNode, make: MakeSpare): Promise<MadeSpare | null> {
    const properties = { [OWNER_PROPERTY]: OWNER, [INSTANCE_PROPERTY]: id, [BUILD_PROPERTY]: id }
    try {
      return await make({ handle: id, address: await node.addressOf(id), properties }, signal)
    } catch (error) {
      if (!signal.aborted) this.#options.logger.warn('spare-not-made', { why: messageOf(error) })
      return null
    }
  }

  /** Waits for the node to have nothing to do; false when it has too much, or not enough for what it has. */
  async #isCalm(node: SpareNode, signal: AbortSignal): Promise<boolean> {
    const { clock, backend, availableBytes } = this.#options
    const until = clock.monotonic() + PATIENCE_MS
    await clock.sleep(AFTER_MS, signal)
    while (node.isBusy()) {
      if (clock.monotonic() > until) return false
      await clock.sleep(LOOK_EVERY_MS, signal)
    }
    const [{ maxContainers }, present] = await Promise.all([backend.capacity(), backend.containers()])
    signal.throwIfAborted()
    this.#maxContainers = maxContainers
    return hasRoom({ containers: present.length + 1, maxContainers, availableBytes: availableBytes() })
  }

  /** Its address rests once the container is gone. Never rejects. */
  async #remove({ id }: Place, node: SpareNode, made: MadeSpare | null = null): Promise<void> {
    const { logger } = this.#options
    await destroyContainer(id, this.#options)
    try {
      await made?.folders.remove()
      await node.freeAddress(id)
    } catch (error) {
      logger.warn('spare-not-removed', { handle: id, why: messageOf(error) })
    }
    this.#ids.delete(id)
  }

  async #keepTrack(work: Promise<void>): Promise<void> {
    this.#underWay.add(work)
    await work
    this.#underWay.delete(work)
  }
}
