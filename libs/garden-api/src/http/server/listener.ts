import { once } from 'node:events'
import { chmod, chown, lstat, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createConnection, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { errnoOf } from '@croft/kit'
import { GardenError } from '../../errors.js'
import { formatAddress, isLoopback, parseAddress, type Address } from '../address.js'
import { admission, type Admission } from './admission.js'
import { answerError, writeErrorByHand } from './answer.js'
import { EarlyBytes } from './early-bytes.js'

/** How long `close` lets calls finish that are being answered. */
const CLOSE_TIMEOUT_MS = 5_000
/** As Go's servers: a bulk call names many handles in its path. */
const MAX_HEADER_BYTES = 1024 * 1024
const CONNECT_TIMEOUT_MS = 1_000

export interface ListenOptions {
  /** `unix:/path` or `tcp:host:port`; port 0 is any. */
  address: string
  /** The group that may use the unix socket beside its owner. */
  gid?: number
  /** What TCP clients must send as `Authorization: Bearer …`. */
  token?: string
  /** With `ca`, clients must show a certificate of it. */
  tls?: { key: string | Buffer; cert: string | Buffer; ca?: string | Buffer }
}

export interface ListenerEvents {
  onRequest(req: IncomingMessage, res: ServerResponse): void
  mayUpgrade(req: IncomingMessage): boolean
  onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** One address a server listens on. */
export class Listener {
  readonly #address: Address
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #admit: Admission

  /** @throws GardenError for a TCP address that anybody could use */
  constructor(
    private readonly options: ListenOptions,
    events: ListenerEvents,
  ) {
    this.#address = parseAddress(options.address)
    refuseOpenTcp(this.#address, options)
    const { tls, token } = options
    this.#admit = admission({
      address: this.#address,
      hasClientCertificates: tls?.ca !== undefined,
      ...(token !== undefined && { token }),
    })
    const common = {
      shouldUpgradeCallback: (req: IncomingMessage) => events.mayUpgrade(req),
      requestTimeout: 0, // a tar may take as long as it takes
      maxHeaderSize: MAX_HEADER_BYTES,
      noDelay: true,
      keepAlive: true, // a client whose machine has died is noticed some day
    }
    const handle = (req: IncomingMessage, res: ServerResponse): void => {
      const refusal = this.#admit(req)
      if (refusal !== null) return void answerError(req, res, refusal)
      EarlyBytes.begin(req, res)
      events.onRequest(req, res)
    }
    this.#server =
      tls === undefined
        ? createServer(common, handle)
        : createTlsServer(
            { ...common, ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: tls.ca !== undefined },
            handle,
          )
    this.#server.on('clientError', (error: Error, socket: Duplex) => EarlyBytes.onClientError(error, socket))
    this.#server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      const refusal = this.#admit(req)
      if (refusal === null) events.onUpgrade(req, socket, head)
      else writeErrorByHand(socket, refusal)
    })
    this.#server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** @throws GardenError when somebody listens there already */
  async open(): Promise<string> {
    if (this.#address.kind === 'unix') await this.#openUnix(this.#address.path)
    else {
      this.#server.listen({ host: this.#address.host, port: this.#address.port })
      await once(this.#server, 'listening')
    }
    if (this.#address.kind === 'unix') return formatAddress(this.#address)
    return formatAddress({ ...this.#address, port: (this.#server.address() as AddressInfo).port })
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, CLOSE_TIMEOUT_MS)
    await closed
    clearTimeout(timer)
  }

  async #openUnix(path: string): Promise<void> {
    await removeStale(path)
    const listening = once(this.#server, 'listening')
    const mask = process.umask(0o177) // it is bound before listen returns: at no time may others connect
    try {
      this.#server.listen(path)
    } finally {
      process.umask(mask)
    }
    await listening
    if (this.options.gid === undefined) return
    await chown(path, -1, this.options.gid)
    await chmod(path, 0o660)
  }
}

function refuseOpenTcp(address: Address, options: ListenOptions): void {
  if (address.kind === 'unix' || isLoopback(address.host)) return
  if (options.token !== undefined || options.tls?.ca !== undefined) return
  throw new GardenError({
    code: 'open-tcp',
    status: 400,
    title: `refusing to listen on ${formatAddress(address)}: anybody who reaches it would be root here`,
    suggestion: 'Listen on loopback or a unix socket, or give a token or a certificate authority of clients',
  })
}

/** Removes a socket nobody listens on any more. @throws GardenError */
async function removeStale(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) throw inTheWay(path, 'something that is no socket')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  if (await somebodyListens(path)) throw inTheWay(path, 'a server that listens')
  await unlink(path)
}

function inTheWay(path: string, what: string): GardenError {
  const title = `there is ${what} at ${path}`
  return new GardenError({ code: 'address-in-use', status: 409, title, suggestion: 'Choose another path' })
}

async function somebodyListens(path: string): Promise<boolean> {
  const socket = createConnection(path)
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', (error) => resolve(errnoOf(error) !== 'ECONNREFUSED' && errnoOf(error) !== 'ENOENT'))
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => resolve(true))
    })
  } finally {
    socket.destroy()
  }
}
