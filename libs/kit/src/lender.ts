import { createConnection, type NetConnectOpts, type Socket } from 'node:net'
import type { Writable } from 'node:stream'

const BUFFER_BYTES = 256 * 1024
/** Buffers kept for the next connections. */
const MAX_SPARE = 16

const spare: Buffer[] = []

/** A Writable that is done with a chunk once it calls back: the bytes may be others after that. */
export interface Borrower extends Writable {
  readonly borrows: true
}

export function isBorrower(to: Writable | undefined): to is Borrower {
  return to !== undefined && 'borrows' in to && to.borrows === true
}

/**
 * A connection that is read into one buffer and whose bytes are lent on: a stream of any length makes no garbage, where node's
 * own reading makes 64 KiB of it a time and has all of the heap searched for it every 16 MiB. A listener for `data` has the bytes
 * until it returns, or until all are back that it has lent.
 */
export class Lender {
  readonly socket: Socket
  /** Pieces that are not back, by who has them. */
  readonly #lent = new Map<Borrower, number>()

  constructor(options: NetConnectOpts) {
    const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
    const hear = (bytes: number): boolean => {
      this.socket.emit('data', buffer.subarray(0, bytes))
      return true
    }
    this.socket = createConnection({ ...options, onread: { buffer, callback: hear } })
    this.socket.once('close', () => {
      if (this.#isAllBack && spare.length < MAX_SPARE) spare.push(buffer)
    })
  }

  /** Writes a piece of what was read; nothing more is read until that is done, or its borrower closed. */
  lend(piece: Buffer, to: Borrower): void {
    this.socket.pause()
    if (!this.#lent.has(to)) to.once('close', () => this.#takeBack(to, Infinity))
    this.#lent.set(to, (this.#lent.get(to) ?? 0) + 1)
    to.write(piece, () => this.#takeBack(to, 1))
  }

  get #isAllBack(): boolean {
    return [...this.#lent.values()].every((pieces) => pieces === 0)
  }
  #takeBack(from: Borrower, pieces: number): void {
    this.#lent.set(from, Math.max(0, (this.#lent.get(from) ?? 0) - pieces))
    if (this.#isAllBack) this.socket.resume()
  }
}
