import { setMaxListeners } from 'node:events'
import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { systemClock, type Clock, type Logger } from '@croft/kit'
import type { Backend } from '../../backend.js'
import { GardenError } from '../../errors.js'
import { FEATURES, type Feature } from '../features.js'
import { ANSWERED, answerError, answerJson, writeErrorByHand } from './answer.js'
import { Call } from './call.js'
import type { Hold, ServerContext, Streaming } from './context.js'
import { Turns } from './idempotency.js'
import { Listener, type ListenOptions } from './listener.js'
import { Recent } from './recent.js'
import type { Route } from './route.js'
import { Router } from './router.js'
import { ROUTES } from './routes.js'
import { StreamTable } from './streams/stream-table.js'

/** JSON bodies only; tar streams are as long as they are. */
const DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024
const REMEMBERED_RUNS = 10_000
const DEFAULT_FINISHED_STREAM_MS = 60_000
const DEFAULT_STREAMING: Streaming = { patienceMs: 1_000, drainMs: 250 }

export interface GardenServerOptions {
  backend: Backend
  logger: Logger
  clock?: Clock
  /** More calls, in front of Garden's own and Croft's. */
  routes?: readonly Route[]
  /** Told of every call that names a container, for as long as the call and its streams last. */
  hold?: Hold
  /** Default 8 MiB. */
  maxBodyBytes?: number
  /** How long the output of a finished process waits for a client that is late. Default 60 s. */
  finishedStreamMs?: number
  streaming?: Partial<Streaming>
}

export interface GardenServer {
  /** Begins to listen, on as many addresses as it is called for. Resolves with the address, the port filled in. */
  listen(options: ListenOptions): Promise<string>
  /** Stops listening and ends open calls and streams; processes run on. */
  close(): Promise<void>
}

/** Garden's wire protocol in front of a backend. The backend stays the caller's to recover and close. */
export function createGardenServer(options: GardenServerOptions): GardenServer {
  const closing = new AbortController()
  setMaxListeners(0, closing.signal)
  const routes = [...(options.routes ?? []), ...ROUTES]
  const context: ServerContext = {
    backend: options.backend,
    logger: options.logger,
    clock: options.clock ?? systemClock,
    maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
    features: featuresOf(routes),
    hold: options.hold,
    closing: closing.signal,
    streams: new StreamTable(options.finishedStreamMs ?? DEFAULT_FINISHED_STREAM_MS),
    streaming: { ...DEFAULT_STREAMING, ...options.streaming },
    turns: new Turns(),
    runs: new Recent(REMEMBERED_RUNS),
  }
  const dispatch = new Dispatch(context, routes)
  const listeners: Listener[] = []
  return {
    listen: async (listenOptions) => {
      const listener = new Listener(listenOptions, {
        onRequest: (req, res) => void dispatch.serve(req, res),
        mayUpgrade: (req) => dispatch.mayUpgrade(req),
        onUpgrade: (req, socket, head) => void dispatch.upgrade(req, socket, head),
      })
      const address = await listener.open()
      listeners.push(listener)
      options.logger.info('garden-listening', { address })
      return address
    },
    close: async () => {
      closing.abort(new Error('the server closes'))
      context.streams.close()
      await Promise.all(listeners.splice(0).map(async (listener) => await listener.close()))
    },
  }
}

/** Extensions of Garden's own calls. */
const BUILT_IN: readonly Feature[] = [
  'attach-from',
  'streams',
  'binary-stdin',
  'payloads',
  'destroy-if-exists',
  'idempotency-key',
  'spec-fields',
]

function featuresOf(routes: readonly Route[]): Feature[] {
  const announced = new Set([
    ...BUILT_IN,
    ...routes.flatMap((route) => (route.feature === undefined ? [] : [route.feature])),
  ])
  if (routes.some((route) => route.upgrade !== undefined)) announced.add('websocket')
  return FEATURES.filter((feature) => announced.has(feature))
}

/** Finds the route of a request, and turns what its handler says into the answer. */
class Dispatch {
  readonly #router: Router<Route>

  constructor(
    private readonly context: ServerContext,
    routes: readonly Route[],
  ) {
    this.#router = new Router(routes)
  }

  async serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    req.on('error', () => undefined) // whoever reads the body hears of it
    res.on('error', () => undefined)
    let call: Call | undefined
    try {
      call = this.#call(req, res)
      const current = call
      res.once('close', () => {
        if (!res.writableFinished) current.leave()
      })
      if (call.params['handle'] !== undefined) call.hold(call.handle)
      const value = await call.route.handle(call)
      if (value !== ANSWERED) answerJson(req, res, value)
    } catch (error) {
      this.#fail(req, res, error, call)
    } finally {
      call?.end()
    }
  }

  mayUpgrade(req: IncomingMessage): boolean {
    try {
      const { pathname } = urlOf(req)
      const match = this.#router.match(req.method ?? '', pathname)
      return match.kind === 'found' && match.route.upgrade !== undefined
    } catch {
      return false
    }
  }

  async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => undefined)
    let call: Call | undefined
    try {
      call = this.#call(req, new ServerResponse(req))
      socket.once('close', () => call?.leave())
      if (call.params['handle'] !== undefined) call.hold(call.handle)
      await call.route.upgrade?.(call, socket, head)
    } catch (error) {
      writeErrorByHand(socket, error)
    } finally {
      call?.end()
    }
  }

  #call(req: IncomingMessage, res: ServerResponse): Call {
    const { pathname, searchParams } = urlOf(req)
    const match = this.#router.match(req.method ?? '', pathname)
    if (match.kind === 'found') return new Call(this.context, match.route, match.params, searchParams, req, res)
    if (match.kind === 'unknown')
      throw new GardenError({ code: 'unknown-route', status: 404, title: `no such call: ${req.method} ${pathname}` })
    res.setHeader('allow', match.allow.join(', '))
    throw new GardenError({
      code: 'method-not-allowed',
      status: 405,
      title: `${req.method} is not a method of ${pathname}`,
      suggestion: `Use ${match.allow.join(' or ')}`,
    })
  }

  #fail(req: IncomingMessage, res: ServerResponse, error: unknown, call: Call | undefined): void {
    if (call?.signal.aborted === true) return
    const { status, body } = answerError(req, res, error)
    const fields = { call: call?.route.name, path: req.url, status, code: body.Code, message: body.Message }
    if (status >= 500 && !(error instanceof GardenError))
      this.context.logger.error('garden-call-failed', { ...fields, error })
    else this.context.logger.debug('garden-call-refused', fields)
  }
}

/** The path as it came: nothing is normalized, so that a handle is what the client wrote. */
function urlOf(req: IncomingMessage): { pathname: string; searchParams: URLSearchParams } {
  const url = req.url ?? '/'
  const at = url.indexOf('?')
  return at < 0
    ? { pathname: url, searchParams: new URLSearchParams() }
    : { pathname: url.slice(0, at), searchParams: new URLSearchParams(url.slice(at + 1)) }
}
