import { StringDecoder } from 'node:string_decoder'
import { Writable } from 'node:stream'
import { backoffMs, messageOf, type Clock, type Logger } from '@croft/kit'
import { detailLine, stepLine, warningLine } from '@croft/lifecycle'
import { formatLine, LineCutter } from './build-lines.js'
import { MAX_LOG_BYTES } from './failures.js'

const FLUSH_EVERY_MS = 50
/** What waits while the controller is away; more is dropped, the newest first. */
const MAX_WAITING_BYTES = 1024 * 1024
const RETRY = { baseMs: 100, maxMs: 2_000, jitter: 0.2 }
const CLOSE_TIMEOUT_MS = 15_000

export interface BuildLogOptions {
  send: (text: string, signal: AbortSignal) => Promise<void>
  clock: Clock
  logger: Logger
  /** The build said more than is kept: called once. */
  onFull?: () => void
}

/** The output of a build: what is written is sent in order, at most every 50 ms, and again while the controller is away. */
export class BuildLog {
  readonly #options: BuildLogOptions
  readonly #stop = new AbortController()
  /** Ends the pauses between sends: nothing more will come. */
  readonly #hurry = new AbortController()
  /** What was done so far, and how long it took. */
  readonly steps: { name: string; tookMs: number }[] = []
  #waiting: string[] = []
  #waitingBytes = 0
  #totalBytes = 0
  #isTruncated = false
  #sending: Promise<void> | null = null

  constructor(options: BuildLogOptions) {
    this.#options = options
  }

  step(text: string, tookMs?: number): void {
    if (tookMs !== undefined) this.took(text, tookMs)
    this.#write(stepLine(text, tookMs))
  }
  /** Notes a step that says so itself. */
  took(name: string, tookMs: number): void {
    this.steps.push({ name, tookMs: Math.round(tookMs) })
  }
  detail(text: string, tookMs?: number): void {
    this.#write(detailLine(text, tookMs))
  }
  warning(text: string): void {
    this.#write(warningLine(text))
  }

  /** A stream whose lines join the log, for one output of one process; `shown` gives what is shown of a line, null for nothing. */
  lines(onLine?: (line: string) => void, shown?: (line: string) => string | null): Writable {
    const cutter = new LineCutter()
    const decoder = new StringDecoder('utf8')
    const emit = (lines: string[]): void => {
      for (const line of lines) {
        const text = shown === undefined ? line : shown(line)
        if (text !== null) this.#write(formatLine(text))
        onLine?.(line)
      }
    }
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        emit(cutter.push(decoder.write(chunk)))
        done()
      },
      final: (done) => {
        emit(cutter.push(decoder.end()))
        emit(cutter.end())
        done()
      },
    })
  }

  /** Sends what is left; gives up after a while when nobody takes it. */
  async close(): Promise<void> {
    this.#hurry.abort()
    const deadline = setTimeout(() => this.#stop.abort(new Error('the log could not be delivered')), CLOSE_TIMEOUT_MS)
    while (this.#sending !== null) await this.#sending
    clearTimeout(deadline)
    this.#stop.abort()
  }

  #write(line: string): void {
    const isFull = this.#totalBytes > MAX_LOG_BYTES
    this.#totalBytes += line.length // what is left out counts too
    if (!isFull && this.#totalBytes > MAX_LOG_BYTES) this.#options.onFull?.()
    if (this.#isTruncated) return
    if (this.#totalBytes > MAX_LOG_BYTES || this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#isTruncated = true
      line = detailLine('(the log is longer than is kept; the rest is left out)')
    }
    this.#waiting.push(line)
    this.#waitingBytes += line.length
    this.#sending ??= this.#send()
  }

  async #send(): Promise<void> {
    const { clock, logger } = this.#options
    let failures = 0
    while (this.#waiting.length > 0 && !this.#stop.signal.aborted) {
      const pieces = this.#waiting.length
      const text = this.#waiting.join('')
      try {
        await this.#options.send(text, this.#stop.signal)
        this.#waiting.splice(0, pieces)
        this.#waitingBytes -= text.length
        failures = 0
        await clock.sleep(FLUSH_EVERY_MS, this.#hurry.signal).catch(() => undefined)
      } catch (error) {
        if (this.#stop.signal.aborted) break
        logger.warn('build-log-not-sent', { failures, why: messageOf(error) })
        await clock.sleep(backoffMs(failures, RETRY, Math.random()), this.#stop.signal).catch(() => undefined)
        failures += 1
      }
    }
    this.#sending = null
  }
}
