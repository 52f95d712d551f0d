import { messageOf, type Clock, type Logger } from '@croft/kit'
import type { Container } from '@croft/garden-api'
import { cutLines, type LogStore } from './log-store.js'

/** Lines shown when an instance crashes before it was ever ready. */
export const LAST_LINES = 20
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
  readonly #offsets = { stdout: 0, stderr: 0 }
  readonly #stop = new AbortController()
  #lastLines: string[] = []
  #running: Promise<void> | undefined
  #draining: Promise<boolean> = Promise.resolve(false)

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
    if (isResumed) {
      for (const stream of STREAMS) this.#offsets[stream] = await store.lastOffset(appId, container.handle, stream)
    }
    this.#running = this.#loop()
  }

  /** Takes over the rest of a process that has ended, an unfinished last line too. */
  async finish(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#drain(true).catch((error: unknown) => {
      this.#options.logger.warn('log-not-drained', { handle: this.#options.container.handle, why: messageOf(error) })
    })
  }

  async #loop(): Promise<void> {
    const { clock, logger, container } = this.#options
    while (!this.#stop.signal.aborted) {
      this.#draining = this.#drain(false)
      const hadOutput = await this.#draining.catch((error: unknown) => {
        logger.debug('log-drain-failed', { handle: container.handle, why: messageOf(error) })
        return false
      })
      await clock.sleep(hadOutput ? BUSY_EVERY_MS : IDLE_EVERY_MS, this.#stop.signal).catch(() => undefined)
    }
  }

  /** Whether there was anything. */
  async #drain(isFinal: boolean): Promise<boolean> {
    const { store, container, processId, appId, instance, clock } = this.#options
    let hadOutput = false
    for (const stream of STREAMS) {
      for (;;) {
        const chunk = await container.readLog(processId, stream, this.#offsets[stream])
        const at = new Date(clock.now()).toISOString()
        const kept = cutLines(chunk.data, chunk.offset, isFinal).map(({ text, end }) => ({
          at,
          instance,
          stream,
          line: text,
          handle: container.handle,
          end,
        }))
        if (chunk.droppedBytes > 0) {
          const line = `${chunk.droppedBytes} bytes of ${stream} were written faster than they could be kept`
          await store.append(appId, [{ at, instance, stream: 'system', line, handle: container.handle }])
        }
        if (kept.length === 0) break
        await store.append(appId, kept)
        this.#lastLines = [...this.#lastLines, ...kept.map(({ line }) => line)].slice(-LAST_LINES)
        this.#offsets[stream] = kept.at(-1)?.end ?? this.#offsets[stream]
        hadOutput = true
      }
    }
    return hadOutput
  }
}
