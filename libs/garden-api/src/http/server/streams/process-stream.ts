import { PassThrough } from 'node:stream'
import { finished } from 'node:stream/promises'
import { messageOf, systemClock } from '@croft/kit'
import type { Container, Process, ProcessIo } from '../../../backend.js'
import type { ProcessExit } from '../../../types.js'
import { payloads } from '../../codec/payload.js'
import type { Call } from '../call.js'
import { hijack } from './hijack.js'
import { readInput } from './input.js'
import { Output } from './output.js'
import type { StreamName } from './stream-table.js'

/** How long the last of the input may take to reach a process whose client has gone. */
const LAST_INPUT_MS = 1_000
const DRAIN_LOOK_MS = 25

export interface ProcessStreamOptions {
  call: Call
  container: Container
  /** Which streams the client wants. */
  wanted: ReadonlySet<StreamName | 'stdin'>
  /** 201 for a run, 200 for an attach. */
  status: number
  /** A run gives the process its standard input, to be closed when the client goes; one who attaches only if it sends some. */
  ownsStdin: boolean
}

/**
 * The stream of one run or attach: JSON payloads to the client, frames of input from it, and the two outputs, for each of
 * which the client opens another connection. It ends with the process, or with the client, whom the process outlives.
 */
export class ProcessStream {
  readonly #outputs: Partial<Record<StreamName, Output>> = {}
  #stdin: PassThrough | undefined
  /** Who feeds the input of one who attached. */
  #feeder: Process | undefined
  #say: (payload: object) => void = () => undefined
  #processId = ''
  /** The exit, as soon as somebody knows; set when an output waits for its reader and might hold the news back. */
  #early: Promise<ProcessExit> | undefined
  #onEarly: (exit: Promise<ProcessExit>) => void = () => undefined

  constructor(private readonly options: ProcessStreamOptions) {
    for (const name of ['stdout', 'stderr'] as const)
      if (options.wanted.has(name))
        this.#outputs[name] = new Output({
          patienceMs: options.call.context.streaming.patienceMs,
          onDropped: (bytes) => this.#say(payloads.dropped(this.#processId, name, bytes)),
          onBlocked: () => this.#watch(),
        })
    if (options.ownsStdin && options.wanted.has('stdin')) this.#stdin = new PassThrough()
  }

  /** What the backend gets. */
  get io(): ProcessIo {
    return {
      ...this.#outputs,
      ...(this.#stdin !== undefined && { stdin: this.#stdin }),
      onDropped: (stream, bytes) => this.#say(payloads.dropped(this.#processId, stream, bytes)),
    }
  }

  /** Answers the call and lasts until the process or the client ends. */
  async serve(process: Process, startedAtMs: number): Promise<void> {
    const { call, container } = this.options
    const { streams, closing } = call.context
    this.#processId = process.id
    if (call.req.socket.destroyed) return await this.#leave(process)
    if (this.#all.some((output) => output.isBlocked)) this.#watch()
    const streamId = streams.add({ handle: container.handle, processId: process.id, outputs: this.#outputs })
    const { socket, early } = hijack(call, this.options.status)
    this.#say = (payload) => {
      if (socket.writable) socket.write(`${JSON.stringify(payload)}\n`)
    }
    this.#say(payloads.started(process.id, streamId))
    const gone = new Promise<'gone'>((resolve) => {
      const leave = (): void => resolve('gone')
      socket.once('end', leave).once('close', leave)
      closing.addEventListener('abort', leave, { once: true })
      socket.once('close', () => closing.removeEventListener('abort', leave))
      if (closing.aborted || socket.destroyed) leave()
    })
    readInput({
      socket,
      early,
      process,
      stdin: async () => await this.#openStdin(),
      say: this.#say,
      onBroken: (error) => {
        this.#say(payloads.refused(process.id, messageOf(error)))
        socket.destroy()
      },
    })
    const last = await Promise.race([this.#exit(process), gone])
    if (last === 'gone') {
      streams.remove(streamId)
      await this.#leave(process)
      socket.destroy()
      return
    }
    for (const output of this.#all) output.reportDropped()
    this.#say(
      'error' in last ? payloads.failed(process.id, last.error) : payloads.exit(process.id, last.exit, startedAtMs),
    )
    await Promise.race([this.#drain(process), gone])
    for (const output of this.#all) output.finish()
    streams.retire(streamId)
    socket.end()
    this.#stdin?.destroy()
    this.#feeder?.detach()
    process.detach()
  }

  get #all(): Output[] {
    return Object.values(this.#outputs)
  }
  async #exit(process: Process): Promise<{ exit: ProcessExit } | { error: unknown }> {
    const early = new Promise<ProcessExit>((resolve) => {
      // a watcher that fails knows nothing of the process
      this.#onEarly = (exit) => void exit.then(resolve, () => undefined)
      if (this.#early !== undefined) this.#onEarly(this.#early)
    })
    try {
      return { exit: await Promise.race([process.wait(), early]) }
    } catch (error) {
      return { error }
    }
  }
  /** A reader that lags must not hold back how the process ended: somebody without streams waits for that. */
  #watch(): void {
    if (this.#early !== undefined || this.#processId === '') return
    this.#early = this.options.container.attach(this.#processId).then(async (watcher) => {
      try {
        return await watcher.wait(this.options.call.context.closing)
      } finally {
        watcher.detach()
      }
    })
    this.#early.catch(() => undefined) // the process's own wait says what is wrong
    this.#onEarly(this.#early)
  }
  /**
   * The rest of the output: until the backend says it is all there, or, when something else still holds the stream open,
   * until nothing came for so long although there was room.
   */
  async #drain(process: Process): Promise<void> {
    const { drainMs } = this.options.call.context.streaming
    const all = process.wait().then(
      () => 'all',
      () => 'all',
    )
    let quietSinceMs = performance.now()
    while ((await Promise.race([all, systemClock.sleep(DRAIN_LOOK_MS)])) !== 'all') {
      const lastMs = Math.max(...this.#all.map((output) => output.lastWriteMs), 0)
      if (this.#all.some((output) => output.isBlocked)) quietSinceMs = performance.now()
      if (performance.now() - Math.max(lastMs, quietSinceMs) > drainMs) return
    }
  }
  async #openStdin(): Promise<PassThrough | null> {
    if (this.#stdin !== undefined || !this.options.wanted.has('stdin') || this.options.ownsStdin)
      return this.#stdin ?? null
    this.#stdin = new PassThrough()
    this.#feeder = await this.options.container.attach(this.#processId, { stdin: this.#stdin })
    return this.#stdin
  }
  /** The client is gone: what it sent still arrives, then its standard input ends; the process lives on. */
  async #leave(process: Process): Promise<void> {
    for (const output of this.#all) output.abandon()
    const stdin = this.#stdin
    if (stdin !== undefined && this.options.ownsStdin) {
      stdin.end()
      await finished(stdin, { signal: AbortSignal.timeout(LAST_INPUT_MS) }).catch(() => undefined)
    } else stdin?.destroy()
    this.#feeder?.detach()
    process.detach()
  }
}
