import { Writable } from 'node:stream'
import type { Borrower } from '@croft/kit'

/** Written by us behind the last byte. */
const END = Buffer.from('end')
/** Kept for a client that has not come for this stream yet. */
const KEPT_BYTES = 1024 * 1024
const HIGH_WATER_BYTES = 256 * 1024

export interface OutputOptions {
  /** How long a process stands still because nobody came for its output, before the output is dropped and counted. */
  patienceMs: number
  /** Bytes that whoever comes now will never see. */
  onDropped(bytes: number): void
  /** The process may have to wait for a reader from now on. */
  onBlocked(): void
}

/**
 * One output stream of a process on its way to one connection. Before the client comes for it, so much is kept; after that
 * a slow client slows the process down. Nothing is dropped that is not counted.
 */
export class Output extends Writable implements Borrower {
  readonly borrows = true
  #kept: Buffer[] = []
  #keptBytes = 0
  #limitBytes = KEPT_BYTES
  #droppedBytes = 0
  #sink: Writable | undefined
  #wasClaimed = false
  /** The write that waits for somebody to come. */
  #held: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #mode: 'keeping' | 'dropping' | 'abandoned' = 'keeping'
  #isOver = false
  #lastWriteMs = 0

  constructor(private readonly options: OutputOptions) {
    super({ highWaterMark: HIGH_WATER_BYTES, decodeStrings: true })
  }

  get isClaimed(): boolean {
    return this.#sink !== undefined
  }
  /** Whether a client ever came. */
  get wasClaimed(): boolean {
    return this.#wasClaimed
  }
  get keptBytes(): number {
    return this.#keptBytes
  }
  /** Whether bytes wait for a reader. */
  get isBlocked(): boolean {
    return this.#held !== undefined || this.writableLength > 0
  }
  /** On `performance.now()`'s clock. */
  get lastWriteMs(): number {
    return this.#lastWriteMs
  }

  /** From now on it flows there, what was kept first. */
  claim(socket: Writable): void {
    this.#sink = socket
    this.#wasClaimed = true
    clearTimeout(this.#timer)
    socket.once('close', () => {
      if (this.#sink === socket) this.#sink = undefined
    })
    for (const chunk of this.#kept.splice(0)) socket.write(chunk)
    this.#keptBytes = 0
    this.#mode = this.#mode === 'abandoned' ? 'abandoned' : 'keeping'
    this.reportDropped()
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) this.#afterDrain(socket, held)
    if (this.#isOver) socket.end()
  }
  /** The process's output has ended; the connection ends with its last byte. What others still write is thrown away. */
  finish(): void {
    this.#limitBytes = Infinity
    this.#release()
    this.write(END)
  }
  /** Nobody will read it: everything is thrown away and the process waits for nobody. */
  abandon(): void {
    this.#mode = 'abandoned'
    this.#kept = []
    this.#release()
    this.#sink?.destroy()
  }
  reportDropped(): void {
    if (this.#droppedBytes > 0) this.options.onDropped(this.#droppedBytes)
    this.#droppedBytes = 0
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#lastWriteMs = performance.now()
    if (this.#mode === 'abandoned' || this.#isOver) return done()
    const sink = this.#sink
    if (chunk === END) {
      this.#isOver = true
      sink?.end()
      return done()
    }
    if (sink !== undefined) {
      sink.write(chunk, () => done())
      if (sink.writableLength > 0) this.options.onBlocked()
      return
    }
    if (this.#mode === 'dropping') {
      this.#droppedBytes += chunk.length
      return done()
    }
    this.#kept.push(Buffer.from(chunk)) // only lent
    this.#keptBytes += chunk.length
    if (this.#keptBytes < this.#limitBytes) return done()
    this.#held = done
    this.#timer = setTimeout(() => {
      this.#mode = 'dropping'
      this.#release()
    }, this.options.patienceMs)
    this.options.onBlocked()
  }

  #release(): void {
    clearTimeout(this.#timer)
    const held = this.#held
    this.#held = undefined
    held?.()
  }
  #afterDrain(sink: Writable, done: () => void): void {
    if (sink.destroyed || !sink.writableNeedDrain) return done()
    this.options.onBlocked()
    const go = (): void => {
      sink.off('drain', go).off('close', go)
      done()
    }
    sink.on('drain', go).on('close', go)
  }
}
