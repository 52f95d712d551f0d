import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { createConnection, isIP, type NetConnectOpts, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { Lender, messageOf } from '@croft/kit'
import { InvalidSpecError, ServiceUnavailableError, type GardenError } from '../../errors.js'
import { formatAddress, parseAddress, type Address } from '../address.js'
import { errorFromWire } from '../codec/error-body.js'
import { understand } from './understand.js'

const CONNECT_TIMEOUT_MS = 2_000
/** Calls that wait for no process and move no file. A create may unpack an image. */
const DEFAULT_TIMEOUT_MS = 120_000

export interface ClientOptions {
  /** `unix:/path` or `tcp:host:port`. */
  address: string
  token?: string
  tls?: { ca?: string | Buffer; key?: string | Buffer; cert?: string | Buffer; serverName?: string }
  /** For calls that wait for no process and move no file; default 120 s. */
  timeoutMs?: number
}

export interface Ask {
  method: string
  path: string
  query?: Record<string, string | undefined>
  /** Sent as JSON. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
  /** Default the client's; null: as long as it takes. */
  timeoutMs?: number | null
}

/** One segment of a path. */
export const segment = (text: string): string => encodeURIComponent(text)

/** Carries calls to one server: each ordinary one on a connection of its own, as Garden's client does. */
export class Transport {
  readonly #address: Address

  constructor(private readonly options: ClientOptions) {
    this.#address = parseAddress(options.address)
  }

  /** The JSON of the answer. @throws the error the server answered; ServiceUnavailableError when it cannot be reached */
  async json(ask: Ask): Promise<unknown> {
    const { body } = await this.bytes(ask)
    return body.length === 0 ? {} : understand(parseJson, body)
  }

  async bytes(ask: Ask): Promise<{ body: Buffer; headers: IncomingMessage['headers'] }> {
    const text = ask.body === undefined ? undefined : JSON.stringify(ask.body)
    const req = this.#request(ask, {
      ...(text !== undefined && {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(text)),
      }),
    })
    req.end(text)
    const res = await this.#response(req, ask)
    const body = await this.#read(res, ask)
    if (isError(res)) throw errorFromWire(res.statusCode ?? 0, parseOr(body))
    return { body, headers: res.headers }
  }

  /** Sends a stream; an answer that comes before its end ends it. */
  async send(ask: Ask, body: Readable, contentType: string): Promise<void> {
    const req = this.#request({ ...ask, timeoutMs: null }, { 'content-type': contentType })
    const failed = new Promise<never>((_resolve, reject) => {
      body.once('error', (error) => {
        req.destroy(error)
        reject(error)
      })
      body.once('close', () => {
        if (body.readableEnded || req.writableFinished) return
        const error = new Error('the stream ended early')
        req.destroy(error)
        reject(error)
      })
    })
    failed.catch(() => undefined)
    body.pipe(req)
    const res = await Promise.race([this.#response(req, ask), failed])
    body.unpipe(req)
    const answer = await this.#read(res, ask)
    if (!req.writableEnded) req.destroy()
    if (isError(res)) throw errorFromWire(res.statusCode ?? 0, parseOr(answer))
  }

  /** The body of an answer as it comes; it breaks off when nothing comes for `silentMs`. */
  async receive(ask: Ask, silentMs?: number): Promise<IncomingMessage> {
    const req = this.#request({ ...ask, timeoutMs: null }, {})
    if (silentMs !== undefined) req.setTimeout(silentMs, () => req.destroy(new Error(`silent for ${silentMs} ms`)))
    req.end()
    const res = await this.#response(req, ask)
    if (isError(res)) throw errorFromWire(res.statusCode ?? 0, parseOr(await this.#read(res, ask)))
    return res
  }

  /** A raw connection, for streams that are no HTTP behind their head. @throws ServiceUnavailableError */
  async connect(): Promise<Socket> {
    const { place, tls } = this.#place()
    return await this.#connected(tls === undefined ? createConnection(place) : tlsConnect({ ...place, ...tls }))
  }
  /** The same, its bytes only lent; undefined where they come through TLS. */
  async connectLending(): Promise<Lender | undefined> {
    const { place, tls } = this.#place()
    if (tls !== undefined) return undefined
    const lender = new Lender(place)
    await this.#connected(lender.socket)
    return lender
  }

  #place(): { place: NetConnectOpts; tls?: object } {
    const address = this.#address
    if (address.kind === 'unix') return { place: { path: address.path } }
    const place = { host: address.host, port: address.port }
    return this.options.tls === undefined ? { place } : { place, tls: this.#tls() }
  }
  async #connected(socket: Socket): Promise<Socket> {
    const isSecure = this.#place().tls !== undefined
    return await new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        clearTimeout(timer)
        socket.destroy()
        reject(this.#unreachable(error))
      }
      const timer = setTimeout(
        () => fail(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
        CONNECT_TIMEOUT_MS,
      )
      socket.once('error', fail)
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer)
        socket.off('error', fail)
        socket.on('error', () => undefined) // `close` follows
        socket.setNoDelay(true).setKeepAlive(true)
        resolve(socket)
      })
    })
  }

  /** The head of a raw request. */
  head(ask: Ask): { head: string; body: string } {
    const body = ask.body === undefined ? '' : JSON.stringify(ask.body)
    const headers = {
      host: 'api',
      ...this.#authorization(),
      ...ask.headers,
      ...(ask.body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    return { head: `${ask.method} ${pathOf(ask)} HTTP/1.1\r\n${lines.join('')}\r\n`, body }
  }

  #request(ask: Ask, headers: Record<string, string>): ClientRequest {
    const address = this.#address
    const { tls } = this.options
    const isTls = tls !== undefined && address.kind === 'tcp'
    const timeoutMs = ask.timeoutMs === undefined ? (this.options.timeoutMs ?? DEFAULT_TIMEOUT_MS) : ask.timeoutMs
    const req = (isTls ? httpsRequest : httpRequest)({
      ...(address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port }),
      ...(isTls && this.#tls()),
      method: ask.method,
      path: pathOf(ask),
      headers: { host: 'api', connection: 'close', ...this.#authorization(), ...ask.headers, ...headers },
      agent: false,
      ...(ask.signal !== undefined && { signal: ask.signal }),
    })
    // the socket's own timer goes with it; an AbortSignal's would outlive every call
    if (timeoutMs !== null) req.setTimeout(timeoutMs, () => req.destroy(new Error(`no answer for ${timeoutMs} ms`)))
    return req
  }
  async #response(req: ClientRequest, ask: Ask): Promise<IncomingMessage> {
    return await new Promise((resolve, reject) => {
      req.once('response', resolve)
      req.on('error', (error) => reject(this.#failure(error, ask)))
    })
  }
  async #read(res: IncomingMessage, ask: Ask): Promise<Buffer> {
    try {
      const parts: Buffer[] = []
      for await (const part of res) parts.push(part as Buffer)
      return Buffer.concat(parts)
    } catch (error) {
      throw this.#failure(error as Error, ask)
    }
  }
  #authorization(): Record<string, string> {
    return this.options.token === undefined ? {} : { authorization: `Bearer ${this.options.token}` }
  }
  /** The name is that of the address: node would take it from the host header. */
  #tls(): object {
    const { serverName, ...rest } = this.options.tls ?? {}
    const host = this.#address.kind === 'tcp' ? this.#address.host : ''
    return { ...rest, servername: serverName ?? (isIP(host) === 0 ? host : '') }
  }
  /** What the caller gave up fails with the caller's reason. */
  #failure(error: Error, ask: Ask): Error {
    return ask.signal?.aborted === true ? (ask.signal.reason as Error) : this.#unreachable(error)
  }
  #unreachable(error: Error): GardenError {
    const where = formatAddress(this.#address)
    return new ServiceUnavailableError(`the container API at ${where} cannot be reached: ${messageOf(error)}`, error)
  }
}

const isError = (res: IncomingMessage): boolean => (res.statusCode ?? 0) < 200 || (res.statusCode ?? 0) > 299

function pathOf(ask: Ask): string {
  const pairs = Object.entries(ask.query ?? {}).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return pairs.length === 0 ? ask.path : `${ask.path}?${new URLSearchParams(pairs).toString()}`
}

const parseJson = (body: unknown): unknown => {
  const text = String(body)
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new InvalidSpecError(`it is no JSON: ${text.slice(0, 80)}`, { body: messageOf(error) })
  }
}

export function parseOr(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown
  } catch {
    return { Message: body.toString().trim() }
  }
}
