import type { Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import type { Writable } from 'node:stream'
import { isBorrower, messageOf, type Clock } from '@croft/kit'
import type { Process, ProcessIo } from '../../backend.js'
import {
  GardenError,
  NotSupportedError,
  ProcessNotFoundError,
  ServiceUnavailableError,
  UnrecoverableError,
} from '../../errors.js'
import type { ProcessExit } from '../../types.js'
import { errorFromWire } from '../codec/error-body.js'
import { decodeOrRefuse, integer, object, text, type Decoder } from '../codec/fields.js'
import { gardenSignal, JsonLines, payloads } from '../codec/payload.js'
import { exitFields, exitFromWire } from '../codec/process-info.js'
import type { Feature } from '../features.js'
import { readStreamHead } from './raw-response.js'
import { segment, type Ask, type Transport } from './transport.js'

const MAX_LINE_BYTES = 32 * 1024 * 1024
/** A frame of standard input holds at most this much. */
const STDIN_PIECE_BYTES = 48 * 1024

const anything: Decoder<unknown> = (value) => value
const payloadFields = object({
  process_id: text(),
  stream_id: text(),
  error: text(),
  failure: anything,
  dropped: object({ stream: text(), bytes: integer(0, Number.MAX_SAFE_INTEGER) }),
  ...exitFields,
})

export interface StreamOptions {
  transport: Transport
  clock: Clock
  has: (feature: Feature) => boolean
  handle: string
  io: ProcessIo
  /** A run decides about the input; one who attaches leaves it as it is. */
  isRun: boolean
}

/**
 * Opens the stream of a run or attach; resolves when the server has told the process's id.
 * @throws the error the server answered instead
 */
export async function openProcess(ask: Ask, options: StreamOptions): Promise<Process> {
  const { transport, io, has } = options
  const wanted = [
    ...(io.stdin === undefined ? [] : ['stdin']),
    ...(io.stdout === undefined ? [] : ['stdout']),
    ...(io.stderr === undefined ? [] : ['stderr']),
  ]
  const { head, body } = transport.head({
    ...ask,
    query: { ...ask.query, ...(has('streams') && { streams: wanted.join(',') }) },
  })
  const socket = await transport.connect()
  socket.write(head + body)
  const first = await readStreamHead(socket)
  const process = new ClientProcess(socket, options)
  await process.begin(first)
  return process
}

/** A process on the other side of the wire. */
class ClientProcess implements Process {
  id = ''
  readonly #lines = new JsonLines(MAX_LINE_BYTES)
  readonly #exit: Promise<ProcessExit>
  #settle!: { resolve: (exit: ProcessExit) => void; reject: (error: Error) => void }
  #begun!: { resolve: (streamId: string) => void; reject: (error: Error) => void }
  #isEnded = false
  readonly #outputs: Promise<void>[] = []
  readonly #outputSockets: Socket[] = []
  #letGoOfInput: () => void = () => undefined

  constructor(
    private readonly socket: Socket,
    private readonly options: StreamOptions,
  ) {
    this.#exit = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.#exit.catch(() => undefined) // whoever waits hears of it
  }

  /** Reads the first payload and opens the outputs somebody wants. */
  async begin(first: Buffer): Promise<void> {
    const started = new Promise<string>((resolve, reject) => {
      this.#begun = { resolve, reject }
    })
    this.socket.on('data', (data) => this.#take(data))
    this.socket.once('close', () => this.#fail(new ServiceUnavailableError('the connection to the process was lost')))
    this.socket.once('end', () => this.socket.destroy())
    if (first.length > 0) this.#take(first)
    this.socket.resume()
    const streamId = await started
    const { stdin, stdout, stderr } = this.options.io
    if (stdout !== undefined) this.#outputs.push(this.#flow(streamId, 'stdout', stdout))
    if (stderr !== undefined) this.#outputs.push(this.#flow(streamId, 'stderr', stderr))
    for (const output of this.#outputs) output.catch(() => undefined) // whoever waits hears of it
    if (stdin !== undefined) this.#feed(stdin)
    // Garden gives every process an open input: one who sends none must say so
    else if (this.options.isRun && !this.options.has('streams')) this.#send(payloads.stdinEnd(this.id))
  }

  async wait(signal?: AbortSignal): Promise<ProcessExit> {
    const ended = this.#exit.then(async (exit) => {
      await Promise.all(this.#outputs)
      return exit
    })
    if (signal === undefined) return await ended
    signal.throwIfAborted()
    return await new Promise((resolve, reject) => {
      const giveUp = (): void => reject(signal.reason as Error)
      signal.addEventListener('abort', giveUp, { once: true })
      ended.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
    })
  }

  async signal(signal: number): Promise<void> {
    const { has, handle, transport } = this.options
    if (has('process-signal')) {
      const path = `/containers/${segment(handle)}/processes/${segment(this.id)}/signal`
      await transport.json({ method: 'PUT', path, body: { signal } })
      return
    }
    const number = gardenSignal(signal)
    if (number === null) throw new NotSupportedError(`signal ${signal}`, 'Garden knows TERM (15) and KILL (9)')
    this.#sendOrRefuse(payloads.signal(this.id, number))
  }
  async resize(columns: number, rows: number): Promise<void> {
    this.#sendOrRefuse(payloads.resize(this.id, columns, rows))
  }
  detach(): void {
    this.#letGoOfInput()
    this.#fail(new ServiceUnavailableError('the process was let go of'))
    this.socket.destroy()
    for (const socket of this.#outputSockets) socket.destroy()
  }

  #sendOrRefuse(payload: object): void {
    if (this.#isEnded || !this.socket.writable) throw new ProcessNotFoundError(this.id)
    this.#send(payload)
  }
  #send(payload: object): boolean {
    return !this.socket.writable || this.socket.write(`${JSON.stringify(payload)}\n`)
  }
  #take(data: Buffer): void {
    try {
      for (const line of this.#lines.push(data)) {
        if (line instanceof Error) throw line
        this.#obey(decodeOrRefuse('payload', (value, problems) => payloadFields(value, '', problems), line))
      }
    } catch (error) {
      this.#fail(new UnrecoverableError(`the server sent what is no payload: ${messageOf(error)}`, error))
      this.socket.destroy()
    }
  }
  #obey(payload: NonNullable<ReturnType<typeof payloadFields>>): void {
    if (payload.stream_id !== undefined) {
      this.id = payload.process_id ?? ''
      this.#begun.resolve(payload.stream_id)
    } else if (payload.dropped !== undefined) {
      const { stream, bytes = 0 } = payload.dropped
      if (stream === 'stdout' || stream === 'stderr') this.options.io.onDropped?.(stream, bytes)
    } else if (payload.error !== undefined) {
      this.#fail(
        payload.failure === undefined
          ? new UnrecoverableError(payload.error)
          : errorFromWire(undefined, payload.failure),
      )
    } else if (payload.exit_status !== undefined) {
      this.#isEnded = true
      this.#letGoOfInput()
      this.#settle.resolve(exitFromWire(payload, this.options.clock.now()))
    }
  }
  #fail(error: GardenError): void {
    this.#isEnded = true
    this.#letGoOfInput()
    this.#begun.reject(error)
    this.#settle.reject(error)
  }

  /** Resolves when the last byte has been passed on. @throws ServiceUnavailableError when the connection broke before */
  async #flow(streamId: string, name: 'stdout' | 'stderr', to: Writable): Promise<void> {
    const { transport, handle } = this.options
    const path = `/containers/${segment(handle)}/processes/${segment(this.id)}/attaches/${segment(streamId)}/${name}`
    const lender = isBorrower(to) ? await transport.connectLending() : undefined
    const socket = lender?.socket ?? (await transport.connect())
    this.#outputSockets.push(socket)
    socket.write(transport.head({ method: 'GET', path }).head)
    const first = await readStreamHead(socket)
    await new Promise<void>((resolve, reject) => {
      const pass = (data: Buffer): void => {
        if (to.destroyed || to.writableEnded) return
        if (lender !== undefined && isBorrower(to)) return lender.lend(data, to)
        if (to.write(data)) return
        socket.pause()
        const go = (): void => {
          to.off('drain', go).off('close', go).off('error', go)
          socket.resume()
        }
        to.on('drain', go).on('close', go).on('error', go)
      }
      const broken = (): void => reject(new ServiceUnavailableError(`the ${name} of the process was lost`))
      socket.on('data', pass).once('close', broken)
      socket.once('end', () => {
        socket.destroy()
        resolve()
      })
      if (socket.destroyed) broken()
      if (first.length > 0) pass(first)
      if (!to.writableNeedDrain) socket.resume()
    })
  }

  #feed(stdin: NonNullable<ProcessIo['stdin']>): void {
    const isBinary = this.options.has('binary-stdin')
    // without binary input a character may be cut by a piece's end, and is put together again
    const decoder = new StringDecoder('utf8')
    const piece = (data: Buffer): boolean =>
      this.#send(payloads.stdin(this.id, isBinary ? data : Buffer.from(decoder.write(data)), isBinary))
    const feed = (chunk: Buffer | string): void => {
      const data = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
      let isRoom = true
      for (let at = 0; at < data.length; at += STDIN_PIECE_BYTES)
        isRoom = piece(data.subarray(at, at + STDIN_PIECE_BYTES)) && isRoom
      if (isRoom) return
      stdin.pause()
      this.socket.once('drain', () => stdin.resume())
    }
    const end = (): void => {
      const rest = decoder.end()
      if (rest !== '') this.#send(payloads.stdin(this.id, Buffer.from(rest), false))
      this.#send(payloads.stdinEnd(this.id))
    }
    const drop = (): void => void this.socket.destroy()
    stdin.on('data', feed).once('end', end).once('error', drop)
    this.#letGoOfInput = () => {
      stdin.off('data', feed).off('end', end).off('error', drop)
      stdin.on('error', () => undefined)
      stdin.resume() // nobody reads it any more: let whoever writes it finish
    }
  }
}
