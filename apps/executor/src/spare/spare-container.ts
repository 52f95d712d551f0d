import { randomUUID } from 'node:crypto'
import type { Backend, Container } from '@croft/garden-api'
import { messageOf, type Clock, type Logger } from '@croft/kit'
import { SPARE_PREFIX } from '@croft/protocol'
import { INSTANCE_PROPERTY } from '../instance/ports.js'
import { hasRoom } from './room.js'

/** The deployment of what has just been built goes first. */
const AFTER_MS = 200
const LOOK_EVERY_MS = 50
/** A node that is busy for so long gets none. */
const PATIENCE_MS = 60_000

/** What a container made in advance is called, and its address. */
export interface SpareNames {
  /** Whose it is while it is nobody's: stands where an instance's id does. */
  id: string
  handle: string
  address: string
}

/** A container in which nothing has ever run, and what it was made of. */
export interface Made {
  container: Container
  /** Of its own, which go with it. */
  folders?: { remove(): Promise<void> }
}

type Named<M extends Made> = M & { names: SpareNames }

/** A spare that is somebody's from now on. */
export type Taken<M extends Made> = Named<M> & {
  /** Makes it the container of an instance. False: it is not usable any more. */
  becomes(instanceId: string): Promise<boolean>
  /** Makes its address the instance's as well, which leaves nothing to release. False: there is none to give. */
  givesAddress(instanceId: string): Promise<boolean>
  /** What is left of it goes: container, folders and address. Never rejects. */
  release(): Promise<void>
}

/** Makes a spare under these names; leaves nothing behind when it throws. */
export type Make<M extends Made> = (names: SpareNames, signal: AbortSignal) => Promise<M>

/** The node a spare is on. */
export interface SpareNode {
  addressOf(id: string): Promise<string>
  /** Gives the address of one to another, without its ever being free; false when there is none to give. */
  moveAddress(from: string, to: string): Promise<boolean>
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
  /** One that nobody took by then goes, ms. */
  keptMs: number
  /** What its handle begins with. */
  prefix: string
  /** When it is made: once the node has nothing else to do, or at once. */
  made: 'when-calm' | 'at-once'
}

interface Place<M extends Made> {
  id: string
  handle: string
  /** Whom it is for. */
  whose: string
  /** Of which its layers come. */
  image: string
  stop: AbortController
  /** Undefined while it waits for the node to be calm; null when it was not to be. */
  made: Promise<Named<M> | null> | undefined
  isTaken: boolean
}

/**
 * The one container of a kind that an executor has made in advance, for whoever is likely to need it next: no code of anybody has run in it, and it
 * has files of no other app. It is gone when nobody has taken it for a while, the node is short of something or the executor
 * ends; one that a killed executor left is unknown to the next, as any container is.
 */
export class SpareContainer<M extends Made> {
  readonly #options: SpareOptions
  #node: SpareNode | undefined
  #place: Place<M> | undefined
  /** Names of those that exist, or are about to: also of one that was taken and not released. */
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

  /** Has one made for somebody, of an image, in place of the present one, which stays if it is that. Returns at once. */
  prepare({ whose, image }: { whose: string; image: string }, make: Make<M>): void {
    if (this.#place?.whose === whose && this.#place.image === image) return
    this.giveUp()
    const node = this.#node
    if (node === undefined) return
    const unique = randomUUID()
    const [id, handle] = [SPARE_PREFIX, this.#options.prefix].map((prefix) => `${prefix}${unique}`) as [string, string]
    const place: Place<M> = { id, handle, whose, image, stop: new AbortController(), made: undefined, isTaken: false }
    this.#place = place
    void this.#keepTrack(this.#live(place, node, make))
  }

  /**
   * The spare for somebody; null when there is none. One that is being made is waited for, as it is ahead of another, until the signal
   * aborts.
   */
  async take(whose: string, signal: AbortSignal): Promise<Taken<M> | null> {
    const place = this.#place
    const node = this.#node
    if (place?.whose !== whose || node === undefined) return null
    this.#place = undefined
    if (place.made === undefined) {
      place.stop.abort(new Error('whom it is for has begun'))
      return null
    }
    place.isTaken = true
    const letGo = (): void => place.stop.abort(signal.reason)
    signal.addEventListener('abort', letGo, { once: true })
    const made = await place.made
    signal.removeEventListener('abort', letGo)
    place.stop.abort(new Error('it is taken'))
    if (made === null) {
      await this.#remove(place, node)
      return null
    }
    return this.#taken(place, node, made)
  }

  /** Goes when the node is short of memory or of containers, of which it has so many and needs so many more. */
  makeRoom(containers: number): void {
    if (this.#place === undefined) return
    const availableBytes = this.#options.availableBytes()
    if (!hasRoom({ containers, maxContainers: this.#maxContainers, availableBytes })) this.giveUp()
  }

  /** What is nobody's goes, which this does not wait for. */
  giveUp(): void {
    this.#place?.stop.abort(new Error('the spare is given up'))
    this.#place = undefined
  }

  /** Resolves when nothing is left, and there will be none; who took some must be done with them. */
  async close(): Promise<void> {
    this.#node = undefined
    this.giveUp()
    await Promise.all(this.#underWay)
  }

  #taken(place: Place<M>, node: SpareNode, made: Named<M>): Taken<M> {
    const { logger } = this.#options
    const { handle } = made.names
    return {
      ...made,
      becomes: async (instanceId) => {
        try {
          await made.container.setProperty(INSTANCE_PROPERTY, instanceId)
          logger.info('spare-taken', { handle, instance: instanceId })
          return true
        } catch (error) {
          logger.warn('spare-lost', { handle, why: messageOf(error) })
          return false
        }
      },
      givesAddress: async (instanceId) => {
        const isGiven = await node.moveAddress(place.id, instanceId)
        if (isGiven) this.#ids.delete(place.id)
        return isGiven
      },
      release: async () => await this.#keepTrack(this.#remove(place, node, made)),
    }
  }

  /** From its making to its end, or until it is taken. Never rejects. */
  async #live(place: Place<M>, node: SpareNode, make: Make<M>): Promise<void> {
    const { clock, logger, keptMs, made: when } = this.#options
    const { signal } = place.stop
    let made: M | null = null
    try {
      if ((when === 'at-once' || (await this.#isCalm(node, signal))) && (await this.#hasRoom(signal))) {
        this.#ids.add(place.id)
        place.made = this.#make(place, node, make)
        made = await place.made
        if (made !== null) await clock.sleep(keptMs, signal)
      }
    } catch (error) {
      if (!signal.aborted) logger.warn('spare-not-kept', { why: messageOf(error) })
    }
    if (place.isTaken) return
    if (this.#place === place) this.#place = undefined
    if (place.made !== undefined) await this.#remove(place, node, made)
  }

  /** Null when it cannot be had: then whom it was for makes its own. Never rejects. */
  async #make({ id, handle, stop: { signal } }: Place<M>, node: SpareNode, make: Make<M>): Promise<Named<M> | null> {
    try {
      const names = { id, handle, address: await node.addressOf(id) }
      return { ...(await make(names, signal)), names }
    } catch (error) {
      if (!signal.aborted) this.#options.logger.warn('spare-not-made', { why: messageOf(error) })
      return null
    }
  }

  /** Waits for the node to have nothing to do; false when it has too much. */
  async #isCalm(node: SpareNode, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options
    const until = clock.monotonic() + PATIENCE_MS
    await clock.sleep(AFTER_MS, signal)
    while (node.isBusy()) {
      if (clock.monotonic() > until) return false
      await clock.sleep(LOOK_EVERY_MS, signal)
    }
    return true
  }

  /** Whether the node has enough for one more beside what it has. */
  async #hasRoom(signal: AbortSignal): Promise<boolean> {
    const { backend, availableBytes } = this.#options
    const [{ maxContainers }, present] = await Promise.all([backend.capacity(), backend.containers()])
    signal.throwIfAborted()
    this.#maxContainers = maxContainers
    return hasRoom({ containers: present.length + 1, maxContainers, availableBytes: availableBytes() })
  }

  /** Its address rests once the container is gone. Never rejects. */
  async #remove({ id, handle }: Place<M>, node: SpareNode, made: Made | null = null): Promise<void> {
    const { backend, logger } = this.#options
    try {
      await backend.destroy(handle, { ifExists: true })
    } catch (error) {
      logger.error('spare-not-destroyed', { handle, error }) // the executor destroys what no instance of its owns
    }
    try {
      await made?.folders?.remove()
      await node.freeAddress(id)
    } catch (error) {
      logger.warn('spare-not-removed', { handle, why: messageOf(error) })
    }
    this.#ids.delete(id)
  }

  async #keepTrack(work: Promise<void>): Promise<void> {
    this.#underWay.add(work)
    await work
    this.#underWay.delete(work)
  }
}
