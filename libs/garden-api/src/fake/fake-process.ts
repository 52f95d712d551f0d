import { once } from 'node:events'
import type { Clock } from '@croft/kit'
import type { AttachFrom, LogChunk, ProcessIo } from '../backend.js'
import type { ProcessExit, ProcessInfo, ProcessSpec } from '../types.js'
import { ProcessNotFoundError } from '../errors.js'
import { GrowingLog } from './growing-log.js'
import type { FakeProgram } from './programs.js'

const SIGKILL = 9

/** A running or finished program of a fake container; it outlives the backend object that started it. */
export class FakeProcess {
  readonly #logs = { stdout: new GrowingLog(), stderr: new GrowingLog() }
  readonly #listeners = new Set<ProcessIo>()
  readonly #ender = new AbortController()
  readonly #signals: number[] = []
  #onSignal: ((signal: number) => void) | undefined
  #isTrapping = false
  #killedBy: number | null = null
  #exit: ProcessExit | null = null
  readonly #input: { pieces: Buffer[]; isEnded: boolean; wake: () => void } = {
    pieces: [],
    isEnded: false,
    wake: () => undefined,
  }
  readonly ended: Promise<ProcessExit>
  readonly startedAtMs: number

  constructor(
    readonly id: string,
    readonly pid: number,
    private readonly spec: ProcessSpec,
    private readonly clock: Clock,
    world: { program: FakeProgram; env: readonly string[]; file: (path: string) => Buffer | undefined },
    io: ProcessIo,
  ) {
    this.startedAtMs = clock.now()
    if (io.stdin === undefined) this.#input.isEnded = true
    this.join(io)
    this.ended = this.#live(world)
  }

  get exit(): ProcessExit | null {
    return this.#exit
  }
  info(): ProcessInfo {
    return {
      id: this.id,
      pid: this.#exit === null ? this.pid : null,
      state: this.#exit === null ? 'running' : 'exited',
      exit: this.#exit,
      startedAtMs: this.startedAtMs,
    }
  }
  /** From there on output goes there too, and its standard input is read. */
  join(io: ProcessIo, from: AttachFrom = { kind: 'now' }): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const log = this.#logs[stream]
      const start =
        from.kind === 'now'
          ? log.length
          : from.kind === 'tail'
            ? Math.max(0, log.length - from.bytes)
            : (from[stream] ?? 0)
      if (start < log.length) io[stream]?.write(log.from(start))
    }
    this.#listeners.add(io)
    io.stdin?.on('data', (chunk: Buffer | string) => {
      this.#input.pieces.push(Buffer.from(chunk))
      this.#input.wake()
    })
    io.stdin?.once('end', () => {
      this.#input.isEnded = true
      this.#input.wake()
    })
  }
  leave(io: ProcessIo): void {
    this.#listeners.delete(io)
  }
  /** @throws ProcessNotFoundError when it has ended */
  signal(number: number): void {
    if (this.#exit !== null) throw new ProcessNotFoundError(this.id)
    if (this.#isTrapping && number !== SIGKILL) {
      const handler = this.#onSignal
      this.#onSignal = undefined
      if (handler === undefined) this.#signals.push(number)
      else handler(number)
      return
    }
    this.#killedBy ??= number
    this.#ender.abort()
  }
  readLog(stream: 'stdout' | 'stderr', fromOffset: number): LogChunk {
    const log = this.#logs[stream]
    const offset = Math.min(fromOffset, Math.max(log.length, fromOffset))
    return { stream, offset, data: log.from(offset), droppedBytes: 0 }
  }

  async #live(world: {
    program: FakeProgram
    env: readonly string[]
    file: (path: string) => Buffer | undefined
  }): Promise<ProcessExit> {
    const killed = new Promise<number>((resolve) =>
      this.#ender.signal.addEventListener('abort', () => resolve(0), { once: true }),
    )
    const program = world
      .program({
        args: this.spec.args ?? [],
        env: world.env,
        clock: this.clock,
        write: async (stream, data) => await this.#write(stream, Buffer.from(data)),
        read: async () => await this.#read(),
        file: world.file,
        nextSignal: async () => await this.#nextSignal(),
        signal: this.#ender.signal,
      })
      .catch(() => 1) // a program that fails has failed; when it was killed, the kill decides
    const code = await Promise.race([program, killed])
    const signal = this.#killedBy
    this.#exit = {
      exitCode: signal === null ? code : 128 + signal,
      signal,
      isOutOfMemory: false,
      exitedAtMs: this.clock.now(),
    }
    return this.#exit
  }
  async #write(stream: 'stdout' | 'stderr', data: Buffer): Promise<void> {
    this.#logs[stream].append(data)
    for (const io of this.#listeners) {
      const to = io[stream]
      if (to !== undefined && !to.destroyed && !to.write(data)) await once(to, 'drain')
    }
  }
  async #read(): Promise<Buffer | null> {
    for (;;) {
      const piece = this.#input.pieces.shift()
      if (piece !== undefined) return piece
      if (this.#input.isEnded) return null
      await new Promise<void>((resolve) => {
        this.#input.wake = resolve
      })
    }
  }
  #nextSignal(): Promise<number> {
    this.#isTrapping = true
    const waiting = this.#signals.shift()
    if (waiting !== undefined) return Promise.resolve(waiting)
    return new Promise((resolve) => {
      this.#onSignal = resolve
    })
  }
}
