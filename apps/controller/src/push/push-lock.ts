/** Who builds, who waits and who gave way, for each app. No time, no I/O: a decision is a resolved promise. Pure. */

export interface Pusher {
  pushId: string
  /** For the text shown to others. */
  author: string
}

export type LockAnswer =
  /** The lock is ours until `release`. */
  | { kind: 'held'; release: () => void }
  /** A later push took our place in the line. */
  | { kind: 'superseded'; by: Pusher }
  /** The signal aborted while we waited. */
  | { kind: 'gave-up' }

interface Waiter {
  pusher: Pusher
  answer: (answer: LockAnswer) => void
}

interface Line {
  holder: Pusher
  waiter: Waiter | undefined
}

/** One push of an app builds, at most one waits; a later one takes the place of the one that waits. */
export class PushLock {
  readonly #lines = new Map<string, Line>()

  /** The push that has the app's lock now. */
  holder(appId: string): Pusher | undefined {
    return this.#lines.get(appId)?.holder
  }

  /** Resolves when the push has the lock, was superseded, or gave up. `onWait` hears at once whom it waits for. */
  acquire(
    appId: string,
    pusher: Pusher,
    options: { signal: AbortSignal; onWait: (holder: Pusher) => void },
  ): Promise<LockAnswer> {
    if (options.signal.aborted) return Promise.resolve({ kind: 'gave-up' })
    const line = this.#lines.get(appId)
    if (line === undefined) {
      this.#lines.set(appId, { holder: pusher, waiter: undefined })
      return Promise.resolve(this.#held(appId, pusher))
    }
    line.waiter?.answer({ kind: 'superseded', by: pusher })
    options.onWait(line.holder)
    return new Promise((resolve) => {
      const giveUp = (): void => {
        if (line.waiter === waiter) line.waiter = undefined
        resolve({ kind: 'gave-up' })
      }
      const waiter: Waiter = {
        pusher,
        answer: (answer) => {
          options.signal.removeEventListener('abort', giveUp)
          resolve(answer)
        },
      }
      line.waiter = waiter
      options.signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #held(appId: string, pusher: Pusher): LockAnswer {
    let isReleased = false
    return {
      kind: 'held',
      release: () => {
        if (isReleased) return
        isReleased = true
        this.#pass(appId, pusher)
      },
    }
  }

  #pass(appId: string, from: Pusher): void {
    const line = this.#lines.get(appId)
    if (line === undefined || line.holder !== from) return
    const next = line.waiter
    if (next === undefined) {
      this.#lines.delete(appId)
      return
    }
    line.holder = next.pusher
    line.waiter = undefined
    next.answer(this.#held(appId, next.pusher))
  }
}
