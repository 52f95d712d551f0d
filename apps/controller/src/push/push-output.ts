import type { Clock } from '@croft/kit'
import { encodeBand, KEEP_ALIVE } from './pkt-line.js'
import type { Refusal } from './refusal.js'
import { duration, printable } from './text.js'

/** The form in which what is said travels to its reader. */
export interface OutputForm {
  /** One text, with its line ends. */
  encode(text: string): Buffer
  /** Shows nothing and keeps the connection warm. */
  keepAlive: Buffer
}

/** As git shows it while it pushes. */
const SIDE_BAND: OutputForm = { encode: (text) => encodeBand(2, Buffer.from(text)), keepAlive: KEEP_ALIVE }

const KEEP_ALIVE_MS = 5_000
/** The person who pushes sees something within a second, also when the first step takes longer. */
const FIRST_LINE_MS = 800
const ERROR = ' !     '
const DETAIL = '       '

/**
 * What the person who pushes reads, in the grammar of every push: `-----> ` a step, seven spaces a detail, `=====> ` a result,
 * ` !     ` an error. Everything that reaches the terminal is printable ASCII. With nobody listening it says nothing, and
 * nobody waits for it.
 */
export class PushOutput {
  #sink: ((bytes: Buffer) => void) | undefined
  readonly #startedAt: number
  #lastSentAt: number
  #hasSpoken = false
  #keepAlive: NodeJS.Timeout | undefined
  #firstLine: NodeJS.Timeout | undefined

  constructor(
    sink: (bytes: Buffer) => void,
    private readonly clock: Clock,
    private readonly form: OutputForm = SIDE_BAND,
  ) {
    this.#sink = sink
    this.#startedAt = clock.monotonic()
    this.#lastSentAt = this.#startedAt
  }

  /** Ms since the push began. */
  get elapsedMs(): number {
    return this.clock.monotonic() - this.#startedAt
  }

  /** From here on silence is broken: with a first line after 0.8 s, and with an invisible packet every 5 s. */
  keepWarm(firstLine: string): void {
    this.#firstLine ??= setTimeout(() => {
      if (!this.#hasSpoken) this.line(firstLine)
    }, FIRST_LINE_MS).unref()
    this.#keepAlive ??= setInterval(() => {
      if (this.clock.monotonic() - this.#lastSentAt >= KEEP_ALIVE_MS - 500) this.send(this.form.keepAlive)
    }, 1_000).unref()
  }

  /** A line as it is, in the grammar already. */
  line(text: string): void {
    this.#hasSpoken = true
    this.send(this.form.encode(`${printable(text)}\n`))
  }

  step(text: string): void {
    this.line(`-----> ${text}`)
  }

  detail(text: string): void {
    this.line(DETAIL + text)
  }

  /** Something is not as it should be, and the push goes on. */
  warning(text: string): void {
    this.line(ERROR + text)
  }

  /** The last line of a push that worked. */
  result(text: string): void {
    this.line(`=====> ${text}`)
  }

  /** Cause, remedy, and where there is more. */
  failure(refusal: Pick<Refusal, 'cause' | 'suggestion'>, more?: string): void {
    for (const [index, line] of refusal.cause.split('\n').entries()) this.line((index === 0 ? ERROR : DETAIL) + line)
    this.line(`${ERROR}Try: ${refusal.suggestion}`)
    if (more !== undefined) this.line(`${ERROR}Details: ${more}`)
  }

  /** Text of git itself, made printable. */
  text(bytes: Buffer): void {
    const text = bytes.toString('utf8').split('\n').map(printable).join('\n')
    if (text === '') return
    this.#hasSpoken = true
    this.send(this.form.encode(text))
  }

  /** `in 2.8 s`, since the push began. */
  get total(): string {
    return duration(this.elapsedMs)
  }

  /** Whole packets to whoever listens. */
  send(packets: Buffer): void {
    this.#lastSentAt = this.clock.monotonic()
    this.#sink?.(packets)
  }

  /** Nobody listens any more; everything else goes on. */
  mute(): void {
    this.#sink = undefined
    this.stop()
  }

  /** Ends the timers. */
  stop(): void {
    clearInterval(this.#keepAlive)
    clearTimeout(this.#firstLine)
  }
}
