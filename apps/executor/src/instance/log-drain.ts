import { messageOf, type Clock, type Logger } from '@croft/kit'
import type { Container } from '@croft/garden-api'
import { cutLines, newestLinesAt, type KeptLine, type LogStore } from './log-store.js'

/** Lines shown when an instance crashes before it was ever ready. */
export const LAST_LINES = 20
/** Of each of them, characters: they travel with every report. */
const LAST_LINE_CHARACTERS = 1_000
/** Lines taken over in one pass: nobody's flood may keep the executor from everybody else's work. */
export const MAX_LINES_PER_PASS = 1_000
/** Lines taken over when a process has ended: the newest. */
export const MAX_FINAL_LINES = 5_000
const BUSY_EVERY_MS = 100
const IDLE_EVERY_MS = 500

export interface LogDrainOptions {
  store: LogStore
  container: Container
  processId: string
  appId: string
  /** `web.1`. */
  instance: string
  clock: Clock
  logger: Logger
}

const STREAMS = ['stdout', 'stderr'] as const

/** Takes over what the shim keeps of one process's output, from where the log store says that it got to. */
export class LogDrain {
  readonly #options: LogDrainOptions
  #offsets = { stdout: 0, stderr: 0 }
  readonly #stop = new AbortController()
  #lastLines: string[] = []
  #running: Promise<void> | undefined
  /** One pass after the other: two at once would take the same bytes twice. */
  #passes: Promise<unknown> = Promise.resolve()

  constructor(options: LogDrainOptions) {
    this.#options = options
  }

  /** The newest lines this drain has seen. */
  get lastLines(): string[] {
    return [...this.#lastLines]
  }

  /** `isResumed`: the container is older than this drain, and part of its output may have been taken over already. */
  async start(isResumed: boolean): Promise<void> {
    const { store, appId, container } = this.#options
    if (isResumed) this.#offsets = await store.lastOffsets(appId, container.handle)
    this.#running = this.#loop()
  }

  /** Takes over what there is now. */
  async flush(): Promise<void> {
    await this.#pass(false)
  }

  /** Takes over the rest of a process that has ended, an unfinished last line too. */
  async finish(): Promise<void> {
    await this.detach()
    await this.#pass(true)
  }

  /** Takes over no more; a later drain goes on from here. */
  async detach(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const hadOutput = await this.#pass(false)
      const everyMs = hadOutput ? BUSY_EVERY_MS : IDLE_EVERY_MS
      await this.#options.clock.sleep(everyMs, this.#stop.signal).catch(() => undefined)
    }
  }

  /** Whether there was anything. Never rejects: what could not be taken over is still there for the next time. */
  #pass(isFinal: boolean): Promise<boolean> {
    const pass = this.#passes
      .then(async () => await this.#drain(isFinal))
      .catch((error: unknown) => {
        this.#options.logger.warn('log-not-drained', { handle: this.#options.container.handle, why: messageOf(error) })
        return false
      })
    this.#passes = pass
    return pass
  }

  async #drain(isFinal: boolean): Promise<boolean> {
    const { store, container, processId, appId, instance, clock } = this.#options
    let hadOutput = false
    for (const stream of STREAMS) {
      const chunk = await container.readLog(processId, stream, this.#offsets[stream])
      const line = { at: new Date(clock.now()).toISOString(), instance, handle: container.handle }
      const lines: KeptLine[] = []
      const skipped = isFinal ? newestLinesAt(chunk.data, MAX_FINAL_LINES) : 0
      const from = chunk.offset + skipped
      if (chunk.droppedBytes + skipped > 0) {
        const text = `${chunk.droppedBytes + skipped} bytes of ${stream} were written faster than they could be kept`
        lines.push({ ...line, stream: 'system', line: text, lost: { stream, end: from } })
      }
      const kept = cutLines(
        chunk.data.subarray(skipped),
        from,
        isFinal,
        isFinal ? MAX_FINAL_LINES + 1 : MAX_LINES_PER_PASS,
      )
      lines.push(...kept.map(({ text, end }) => ({ ...line, stream, line: text, end })))
      if (lines.length === 0) continue
      await store.append(appId, lines)
      const newest = kept.slice(-LAST_LINES).map(({ text }) => text.slice(0, LAST_LINE_CHARACTERS))
      this.#lastLines = [...this.#lastLines, ...newest].slice(-LAST_LINES)
      this.#offsets[stream] = kept.at(-1)?.end ?? from
      hadOutput = true
    }
    return hadOutput
  }
}
