import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { start, systemClock, silentLogger, waitFor, type Logger } from '@croft/kit'
import { haproxyLaunch, type Endpoint, type Route, type RouterStatus } from '@croft/protocol'
import { createRouter, parseConfig, type Router } from '@croft/router'

/** A router's control plane beside a real HAProxy, a controller that is only its two sockets, and apps that are small servers. */
export interface RouterRig {
  run: string
  port: number
  router: Router
  controller: FakeController
  haproxy: HaproxyKeeper
  /** Serves these routes and waits until the router has acknowledged them. */
  serve(routes: Route[]): Promise<void>
  /** Ends the control plane without touching HAProxy, as a death would. */
  stopRouter(): Promise<void>
  startRouter(): Promise<void>
  close(): Promise<void>
}

export async function routerRig(port: number, environment: Record<string, string> = {}): Promise<RouterRig> {
  const home = mkdtempSync('/tmp/router-')
  const run = `${home}/run`
  for (const folder of ['router', 'haproxy', 'api', 'control']) mkdirSync(`${run}/${folder}`, { recursive: true })
  mkdirSync(`${home}/router`)
  const controller = new FakeController(run)
  await controller.open()
  const haproxy = new HaproxyKeeper(run)
  const create = (): Router => {
    const config = parseConfig({
      CROFT_HOME: home,
      CROFT_HOME_ID: 'test',
      CROFT_RUN: run,
      CROFT_HTTP_PORT: String(port),
      CROFT_LISTEN: '127.0.0.1',
      ...environment,
    })
    return createRouter(config, { clock: systemClock, random: Math.random, logger: loggerOfTests() })
  }
  const rig: RouterRig = {
    run,
    port,
    controller,
    haproxy,
    router: create(),
    async serve(routes) {
      const revision = controller.serve(routes)
      await waitFor(() => controller.acknowledged >= revision, { what: `an ack of ${revision}`, timeoutMs: 15_000 })
    },
    async startRouter() {
      rig.router = create()
      await rig.router.start()
    },
    async stopRouter() {
      await rig.router.stop()
    },
    async close() {
      await rig.router.stop()
      await haproxy.stop()
      await controller.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
  haproxy.start()
  await rig.router.start()
  return rig
}

const say = (event: string, fields?: Record<string, unknown>): void => {
  process.stderr.write(`${Math.round(performance.now())} ${event} ${JSON.stringify(fields ?? {})}\n`)
}
const loudLogger: Logger = { debug: say, info: say, warn: say, error: say, child: () => loudLogger }

/** Says what the router does when ROUTER_SPEC_LOG is set. */
function loggerOfTests(): Logger {
  return process.env['ROUTER_SPEC_LOG'] === undefined ? silentLogger : loudLogger
}

/** Starts HAProxy as the supervisor does, and again when it dies. */
export class HaproxyKeeper {
  readonly #launch
  #isStopped = false
  #pid: number | undefined
  #ended: Promise<unknown> = Promise.resolve()
  starts = 0

  constructor(run: string) {
    this.#launch = haproxyLaunch(run)
  }

  /** The master's process id. */
  get pid(): number {
    if (this.#pid === undefined) throw new Error('HAProxy was not started')
    return this.#pid
  }

  start(): void {
    this.#ended = this.#keep()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#pid !== undefined) killQuietly(this.#pid, 'SIGTERM')
    await this.#ended
  }

  async #keep(): Promise<void> {
    while (!this.#isStopped) {
      if (!this.#launch.needs.every((path) => existsSync(path))) {
        await systemClock.sleep(10)
        continue
      }
      const child = start(this.#launch.command, this.#launch.args, { stdio: 'ignore' })
      this.#pid = child.pid
      this.starts += 1
      await new Promise((resolve) => child.once('exit', resolve))
    }
  }
}

/** The controller's two sockets: the table with its long poll, the status reports, and a public API that says hello. */
export class FakeController {
  readonly #run: string
  #servers: Server[] = []
  #table: Route[] = []
  #revision = 0
  #waiting: ServerResponse[] = []
  epoch = 'e1'
  acknowledged = 0
  status: RouterStatus | undefined
  /** Every report, in order. */
  reports: RouterStatus[] = []
  polls = 0

  constructor(run: string) {
    this.#run = run
  }

  async open(): Promise<void> {
    const control = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://control')
      if (request.method === 'GET' && url.pathname === '/v1/routes') return this.#poll(url, response)
      let text = ''
      request.on('data', (chunk: Buffer) => (text += chunk.toString()))
      request.on('end', () => {
        this.status = JSON.parse(text) as RouterStatus
        this.reports.push(this.status)
        response.writeHead(204).end()
      })
    })
    const api = createServer((request, response) => {
      let bytes = 0
      request.on('data', (chunk: Buffer) => (bytes += chunk.length))
      request.on('end', () => response.end(JSON.stringify({ platform: true, url: request.url, bytes })))
    })
    this.#servers = [control, api]
    for (const [server, path] of [
      [control, `${this.#run}/control/control.sock`],
      [api, `${this.#run}/api/api.sock`],
    ] as const) {
      rmSync(path, { force: true })
      await new Promise<void>((resolve) => server.listen(path, resolve))
    }
  }

  /** Closes both sockets, as the controller's death does. */
  async close(): Promise<void> {
    for (const response of this.#waiting) response.destroy()
    this.#waiting = []
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise((resolve) => {
            server.close(resolve)
            server.closeAllConnections()
          }),
      ),
    )
    this.#servers = []
  }

  serve(routes: Route[]): number {
    this.#table = routes
    this.#revision += 1
    for (const response of this.#waiting.splice(0)) this.#answer(response)
    return this.#revision
  }

  #poll(url: URL, response: ServerResponse): void {
    this.polls += 1
    const after = Number(url.searchParams.get('after'))
    const isSameEpoch = url.searchParams.get('epoch') === this.epoch
    if (isSameEpoch) this.acknowledged = after
    if (!isSameEpoch || after < this.#revision) return this.#answer(response)
    this.#waiting.push(response)
    const timer = setTimeout(() => response.writeHead(204).end(), 1000 * Number(url.searchParams.get('wait')))
    response.on('close', () => {
      clearTimeout(timer)
      this.#waiting = this.#waiting.filter((other) => other !== response)
    })
  }

  #answer(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ epoch: this.epoch, revision: this.#revision, complete: true, items: this.#table }))
  }
}

/** A route of an app by name, its ids derived from names. */
export function routeOf(app: string, ports: number[], more: Partial<Route> = {}): Route {
  return {
    host: `${app}.localhost`,
    pathPrefix: '/',
    appId: idOf(app),
    appName: app,
    idleReason: null,
    endpoints: ports.map((port) => endpointOf(`127.0.0.1:${port}`, `instance ${port}`)),
    ...more,
  }
}

/** An endpoint whose instance id is derived from `name`. */
export function endpointOf(address: string, name: string): Endpoint {
  return { address, instanceId: idOf(name), releaseVersion: 1, weight: 1 }
}

/** The same UUID for the same name. */
export function idOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** An app's instance in a process of its own, so that it can be killed. */
export class Upstream {
  #pid = 0
  constructor(
    readonly port: number,
    readonly label: string,
  ) {}

  /** Starts it; resolves when the port accepts. `GET /slow/<ms>` answers late, `/die` kills it, `Upgrade` is echoed. */
  async start(): Promise<this> {
    const child = start(process.execPath, ['--input-type=module', '-e', UPSTREAM, String(this.port), this.label], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    this.#pid = child.pid ?? 0
    await waitFor(() => accepts(this.port), { what: `port ${this.port}`, timeoutMs: 10_000, everyMs: 10 })
    return this
  }

  kill(): void {
    killQuietly(this.#pid, 'SIGKILL')
  }
}

const UPSTREAM = `
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
const [port, label] = process.argv.slice(1)
let slow = 0
const server = createServer((request, response) => {
  let bytes = 0
  request.on('data', (chunk) => (bytes += chunk.length))
  request.on('end', () => {
    if (request.url === '/die') return process.kill(process.pid, 'SIGKILL')
    if (request.url === '/close') return request.socket.destroy()
    const answer = () => {
      if (request.url === '/forge') response.setHeader('X-Croft-Error', 'H99')
      response.setHeader('x-label', label)
      response.setHeader('x-slow', slow)
      response.end(JSON.stringify({ label, method: request.method, url: request.url, headers: request.rawHeaders, bytes }))
    }
    const late = /^\\/slow\\/(\\d+)/.exec(request.url)
    if (late === null) return answer()
    slow += 1
    setTimeout(() => {
      slow -= 1
      answer()
    }, Number(late[1]))
  })
})
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
  const accept = createHash('sha1').update(key).digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n' +
    'Sec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n')
  socket.pipe(socket)
})
server.listen(Number(port), '127.0.0.1')
`

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

export function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it ended before
  }
}
