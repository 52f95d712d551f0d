import { statfs } from 'node:fs/promises'
import { Inject, Injectable } from '@nestjs/common'
import type { Clock } from '@croft/kit'
import type { ControllerConfig } from '../config.js'
import { CLOCK, CONFIG } from '../tokens.js'
import { ReceiveTimedOut } from './receive-session.js'
import { admitReception, DiskNearlyFull, TooManyReceptions, type Reception } from './reception.js'

export interface ReceptionOptions {
  /** Whoever sends it has left. */
  gone: AbortSignal
  waitMs: number
  /** Hears what it waits for, when it does. */
  onWait?: (why: string) => void
}

interface Waiting {
  reception: Reception
  /** What it waits for. */
  why: string
  turn: PromiseWithResolvers<void>
}

/** Whose bytes are received, and who waits: in the order they came, but that a team that has its share lets others by. */
@Injectable()
export class Receptions {
  readonly #home: string
  readonly #underWay = new Set<Reception>()
  readonly #waiting = new Set<Waiting>()

  constructor(
    @Inject(CONFIG) config: Pick<ControllerConfig, 'home'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.#home = config.home
  }

  /**
   * Resolves when it may be received; the function it gives is called once it was, or will not be.
   * @throws TooManyReceptions, DiskNearlyFull, ReceiveTimedOut
   */
  async begin(reception: Reception, options: ReceptionOptions): Promise<() => void> {
    const waiting: Waiting = { reception, why: '', turn: Promise.withResolvers() }
    const end = (): void => {
      this.#waiting.delete(waiting)
      if (this.#underWay.delete(reception)) void this.#look()
    }
    waiting.turn.promise.catch(() => undefined) // awaited below, when it did not come at once
    this.#waiting.add(waiting)
    await this.#look()
    try {
      if (!this.#underWay.has(reception)) await this.#await(waiting, options)
      return end
    } catch (error) {
      end()
      throw error
    }
  }

  async #await(waiting: Waiting, { gone, waitMs, onWait }: ReceptionOptions): Promise<void> {
    if (this.#waiting.has(waiting)) onWait?.(waiting.why)
    const settled = new AbortController()
    const late = this.clock.sleep(waitMs, AbortSignal.any([gone, settled.signal])).then(
      () => Promise.reject(new TooManyReceptions(waiting.why)),
      () => Promise.reject(new ReceiveTimedOut('the client left')),
    )
    try {
      await Promise.race([waiting.turn.promise, late])
    } finally {
      settled.abort()
    }
  }

  /** Gives those their turn who may have it now; never throws. */
  async #look(): Promise<void> {
    if (this.#waiting.size === 0) return
    try {
      const { bavail, bsize } = await statfs(this.#home)
      this.#give(bavail * bsize)
    } catch (error) {
      for (const waiting of this.#waiting) this.#refuse(waiting, error)
    }
  }

  #give(freeBytes: number): void {
    let ahead: string | undefined // what one waits for that is not let by
    for (const waiting of this.#waiting) {
      const { reception, turn } = waiting
      const admission = admitReception(reception, this.#underWay, freeBytes)
      if (admission.kind === 'full') {
        this.#refuse(waiting, new DiskNearlyFull(freeBytes, admission.neededBytes))
      } else if (admission.kind === 'waits') {
        waiting.why = admission.why
        if (admission.of !== 'team') ahead ??= admission.why
      } else if (ahead !== undefined) {
        waiting.why = ahead
      } else {
        this.#waiting.delete(waiting)
        this.#underWay.add(reception)
        turn.resolve()
      }
    }
  }

  #refuse(waiting: Waiting, why: unknown): void {
    this.#waiting.delete(waiting)
    waiting.turn.reject(why)
  }
}
