import { PassThrough, Writable, type Duplex } from 'node:stream'
import { finished } from 'node:stream/promises'
import { messageOf } from '@croft/kit'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Container, Process, ProcessIo } from '../../../backend.js'
import { decodeMessage, encodeMessage, EXEC_PROTOCOL, type SocketInput } from '../../codec/channels.js'
import { payloads } from '../../codec/payload.js'
import type { Call } from '../call.js'

const MAX_MESSAGE_BYTES = 1024 * 1024
/** A client that does not answer a ping within the time to the next is gone. */
const PING_EVERY_MS = 30_000
/** How long the last of the input may take to reach a process whose client has gone. */
const LAST_INPUT_MS = 1_000
/** Why a socket was closed: RFC 6455's codes, and one of ours. */
const CLOSED = { done: 1000, goingAway: 1001, badMessage: 1007, failed: 4000 } as const

const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: MAX_MESSAGE_BYTES,
  perMessageDeflate: false,
  handleProtocols: (offered) => (offered.has(EXEC_PROTOCOL) ? EXEC_PROTOCOL : false),
})

export interface ExecOptions {
  call: Call
  container: Container
  /** A run gives the process its standard input, to be closed when the client goes; one who attaches only if it sends some. */
  ownsStdin: boolean
  begin: Begin
}

/** Begins the process once the socket is open; gets the first text message when it asks for one. */
export type Begin = (io: ProcessIo, firstText: () => Promise<unknown>) => Promise<Process>

/**
 * A run or an attach over one WebSocket: outputs, status and input each on a channel of their own. Lasts until the process or the
 * client ends; the process outlives the client, whose going ends a run's standard input.
 */
export async function execOverSocket(options: ExecOptions, socket: Duplex, head: Buffer): Promise<void> {
  const { req } = options.call
  const opened = new Promise<WebSocket | null>((resolve) => {
    sockets.handleUpgrade(req, socket, head, resolve)
    socket.once('close', () => resolve(null)) // a handshake that was no good has been answered
    if (socket.destroyed) resolve(null)
  })
  const open = await opened
  if (open !== null) await new ExecSocket(options, open).serve()
}

class ExecSocket {
  readonly #stdin = new PassThrough()
  readonly #texts: { resolve: (json: unknown) => void; reject: (error: Error) => void }[] = []
  readonly #gone: Promise<'gone'>
  #process: Process | undefined
  /** Who feeds the input of one who attached. */
  #feeder: Promise<Process> | undefined
  #processId = ''
  #early: Buffer[] = []

  constructor(
    private readonly options: ExecOptions,
    private readonly socket: WebSocket,
  ) {
    const { closing } = options.call.context
    this.#gone = new Promise((resolve) => {
      const leave = (): void => resolve('gone')
      socket.once('close', leave)
      closing.addEventListener('abort', leave, { once: true })
      socket.once('close', () => closing.removeEventListener('abort', leave))
      if (closing.aborted) leave()
    })
    socket.on('error', () => undefined) // `close` follows
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#onMessage(data, isBinary))
    this.#stdin.on('drain', () => socket.resume())
  }

  async serve(): Promise<void> {
    const stopPinging = keepPinging(this.socket)
    try {
      const begun = this.options.begin(this.#io(), async () => await this.#nextText())
      const process = await Promise.race([begun, this.#gone])
      if (process !== 'gone') return await this.#serve(process)
      await begun.then((late) => late.detach()).catch(() => undefined)
    } catch (error) {
      this.#say(payloads.failed(this.#processId, error))
      this.socket.close(CLOSED.failed, 'failed')
    } finally {
      stopPinging()
      await this.#endInput()
      this.#process?.detach()
      if (this.options.call.context.closing.aborted) this.socket.close(CLOSED.goingAway)
    }
  }

  async #serve(process: Process): Promise<void> {
    this.#process = process
    this.#processId = process.id
    this.#say({ process_id: process.id })
    for (const message of this.#early.splice(0)) this.#onMessage(message, true)
    this.socket.resume()
    const exit = await Promise.race([process.wait(), this.#gone])
    if (exit === 'gone') return
    const info = (await this.options.container.processes()).find((one) => one.id === process.id)
    this.#say(payloads.exit(process.id, exit, info?.startedAtMs ?? exit.exitedAtMs))
    this.socket.close(CLOSED.done)
  }

  #io(): ProcessIo {
    return {
      ...(this.options.ownsStdin && { stdin: this.#stdin }),
      stdout: this.#output('stdout'),
      stderr: this.#output('stderr'),
      onDropped: (stream, bytes) => this.#say(payloads.dropped(this.#processId, stream, bytes)),
    }
  }
  /** The process waits for a client that reads slowly. */
  #output(channel: 'stdout' | 'stderr'): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (this.socket.readyState !== this.socket.OPEN) return done()
        this.socket.send(encodeMessage(channel, chunk), () => done())
      },
    })
  }
  #say(status: object): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(encodeMessage('status', status))
  }

  async #nextText(): Promise<unknown> {
    return await new Promise((resolve, reject) => this.#texts.push({ resolve, reject }))
  }
  #onMessage(data: Buffer, isBinary: boolean): void {
    if (!isBinary) {
      const wanted = this.#texts.shift()
      if (wanted === undefined) return this.#refuse('a text message was not expected')
      try {
        return wanted.resolve(JSON.parse(data.toString()))
      } catch (error) {
        return wanted.reject(new Error(`the process spec is not JSON: ${messageOf(error)}`))
      }
    }
    const process = this.#process
    if (process === undefined) {
      this.socket.pause()
      return void this.#early.push(data)
    }
    try {
      this.#take(decodeMessage(data), process)
    } catch (error) {
      this.#refuse(messageOf(error))
    }
  }
  #take(input: SocketInput, process: Process): void {
    const tell = (error: unknown): void => this.#say(payloads.refused(this.#processId, messageOf(error)))
    switch (input.kind) {
      case 'stdin':
        this.#feed(tell)
        if (!this.#stdin.writableEnded && !this.#stdin.write(input.data)) this.socket.pause()
        return
      case 'stdin-end':
        this.#feed(tell)
        return void this.#stdin.end()
      case 'resize':
        return void process.resize(input.columns, input.rows).catch(tell)
      case 'signal':
        return void process.signal(input.signal).catch(tell)
    }
  }
  #feed(tell: (error: unknown) => void): void {
    if (this.options.ownsStdin || this.#feeder !== undefined) return
    this.#feeder = this.options.container.attach(this.#processId, { stdin: this.#stdin })
    this.#feeder.catch(tell)
  }
  /** What the client sent still arrives; then a run's input ends, and the input of one attached to stays open. */
  async #endInput(): Promise<void> {
    if (this.options.ownsStdin && this.#process !== undefined) {
      this.#stdin.end()
      await finished(this.#stdin, { signal: AbortSignal.timeout(LAST_INPUT_MS) }).catch(() => undefined)
    }
    this.#stdin.destroy()
    await this.#feeder?.then((feeder) => feeder.detach()).catch(() => undefined)
  }
  #refuse(why: string): void {
    this.#say(payloads.refused(this.#processId, why))
    this.socket.close(CLOSED.badMessage, 'bad message')
  }
}

function keepPinging(socket: WebSocket): () => void {
  let isAlive = true
  socket.on('pong', () => {
    isAlive = true
  })
  const timer = setInterval(() => {
    if (!isAlive) return socket.terminate()
    isAlive = false
    socket.ping()
  }, PING_EVERY_MS)
  return () => clearInterval(timer)
}
