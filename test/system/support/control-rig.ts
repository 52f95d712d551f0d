import { createHash, randomUUID } from 'node:crypto'
import type { ControllerConfig } from '@croft/controller'
import { waitFor, type DeploymentId } from '@croft/kit'
import type { DesiredInstance, DesiredStream, InstanceStatus, NodeReport, Route } from '@croft/protocol'
import type { Type } from '@nestjs/common'
import type { DataSource } from 'typeorm'
import { Agent, request, type Dispatcher } from 'undici'
import type { App } from '../../../apps/controller/src/app/app.entity.js'
import { AppService } from '../../../apps/controller/src/app/app.service.js'
import { DeployService, type DeployEnd } from '../../../apps/controller/src/deploy/deploy.service.js'
import type { Deployment } from '../../../apps/controller/src/deploy/deployment.entity.js'
import { ReleaseService } from '../../../apps/controller/src/release/release.service.js'
import { TeamService } from '../../../apps/controller/src/team/team.service.js'
import { DATA_SOURCE } from '../../../apps/controller/src/tokens.js'
import { controllerRig, type ControllerRig } from './controller-rig.js'

/** A controller over a real PostgreSQL and Redis, asked through its sockets and through its services. */
export class ControlRig {
  private constructor(private readonly rig: ControllerRig) {}

  static async start(changes: Partial<ControllerConfig> = {}): Promise<ControlRig> {
    return new ControlRig(await controllerRig(changes))
  }

  get apiSocket(): string {
    return this.rig.controller.apiSocket
  }
  get nodeSocket(): string {
    return `${this.rig.config.run}/node/node.sock`
  }
  get controlSocket(): string {
    return `${this.rig.config.run}/control/control.sock`
  }
  get home(): string {
    return this.rig.config.home
  }
  get operatorToken(): string {
    return this.rig.operatorToken
  }
  get dataSource(): DataSource {
    return this.service<DataSource>(DATA_SOURCE)
  }

  /** A provider of the running controller. */
  service<T>(token: Type<T> | symbol): T {
    return this.rig.controller.app.get<T>(token)
  }

  /** Ends the controller and starts another one over the same rows. */
  async restart(): Promise<void> {
    await this.rig.restart()
  }

  async close(): Promise<void> {
    await this.rig.close()
  }

  async createApp(name: string): Promise<App> {
    const team = await this.service(TeamService).ensureMain()
    return this.service(AppService).create(name, {
      tokenId: 'rig',
      teamId: team.id,
      role: 'operator',
      name: 'operator',
    })
  }

  /** A release of process types that need no build, and the beginning of its deployment. */
  async release(
    app: App,
    types: readonly string[] = ['web'],
    formation: Record<string, number> = {},
  ): Promise<Deployment> {
    const created = await this.service(ReleaseService).create({
      app,
      image: `sha256:${'0'.repeat(64)}`,
      processTypes: Object.fromEntries(
        types.map((type) => [type, { command: `node ${type}.js`, argv: [`/cnb/process/${type}`] }]),
      ),
      formation,
      description: 'a test',
      author: 'operator',
    })
    return this.service(DeployService).start(created)
  }

  /** Waits for the end of a deployment. */
  async finish(id: DeploymentId, lines: string[] = []): Promise<DeployEnd> {
    return this.service(DeployService).wait(id, {
      onLine: (line) => lines.push(line),
      signal: AbortSignal.timeout(30_000),
    })
  }

  /** A call of the public API as the operator. */
  async api<T>(method: Dispatcher.HttpMethod, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    return call<T>(this.apiSocket, method, `/api/v1${path}`, body, this.operatorToken)
  }
}

/** One call on a unix socket. */
export async function call<T>(
  socketPath: string,
  method: Dispatcher.HttpMethod,
  path: string,
  body?: unknown,
  token?: string,
  signal?: AbortSignal,
): Promise<{ status: number; body: T }> {
  const agent = new Agent({ connect: { socketPath } })
  try {
    const response = await request(`http://rig${path}`, {
      method,
      dispatcher: agent,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    })
    const text = await response.body.text()
    return { status: response.statusCode, body: (text === '' ? undefined : JSON.parse(text)) as T }
  } finally {
    agent.destroy().catch(() => undefined)
  }
}

/** What a scripted instance does. */
export type Behaviour =
  | { kind: 'ready' }
  | { kind: 'hang' }
  | { kind: 'crash'; reason?: InstanceStatus['reason']; message?: string; lastLines?: string[]; times?: number }

interface Desired {
  epoch: string
  revision: number
  complete: true
  items: DesiredInstance[]
  streams: DesiredStream[]
}

/** An executor that runs nothing: it reports for each instance what its script says. */
export class ScriptedNode {
  readonly items = new Map<string, DesiredInstance>()
  readonly statuses = new Map<string, InstanceStatus>()
  streams: DesiredStream[] = []
  /** Called as soon as an instance is stopped. */
  onStop: (item: DesiredInstance) => void = () => undefined
  /** Called for each stream somebody begins to wait for. */
  onStream: (stream: DesiredStream) => void = () => undefined
  /** By instance; default ready. */
  behave: (item: DesiredInstance) => Behaviour = () => ({ kind: 'ready' })
  memoryBytes = 16 * 1024 ** 3
  /** What it says is available of it now; undefined: nothing. */
  availableMemoryBytes: number | undefined
  nodeId = ''
  network = ''
  bootId: string = randomUUID()
  #applied = { epoch: null as string | null, revision: 0 }
  #sentHash: string | undefined
  #nextIp = 2
  readonly #stop = new AbortController()
  #loops: Promise<unknown>[] = []
  #wake: () => void = () => undefined

  constructor(
    private readonly socketPath: string,
    readonly name = 'node-1',
  ) {}

  async join(takenNetworks: string[] = []): Promise<void> {
    const { status, body } = await call<{ nodeId: string; network: string }>(this.socketPath, 'POST', '/v1/nodes', {
      name: this.name,
      bootId: this.bootId,
      takenNetworks,
    })
    if (status !== 200 && status !== 201) throw new Error(`join answered ${status} ${JSON.stringify(body)}`)
    this.nodeId = body.nodeId
    this.network = body.network
  }

  async start(): Promise<void> {
    await this.join()
    await this.#report()
    this.#loops = [this.#watch(), this.#reports()]
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await Promise.allSettled(this.#loops)
  }

  /** Overwrites what is said of an instance. */
  say(id: string, changes: Partial<InstanceStatus>): void {
    const before = this.statuses.get(id)
    if (before === undefined) throw new Error(`nothing is known of ${id}`)
    this.statuses.set(id, { ...before, ...changes })
    this.#wake()
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const query = new URLSearchParams({
          after: String(this.#applied.revision),
          wait: '5',
          ...(this.#applied.epoch !== null && { epoch: this.#applied.epoch }),
        })
        const { status, body } = await call<Desired>(
          this.socketPath,
          'GET',
          `/v1/nodes/${this.nodeId}/desired?${query.toString()}`,
          undefined,
          undefined,
          signal,
        )
        if (status === 200) this.#apply(body)
        else if (status !== 204) await pause(50)
      } catch {
        await pause(50)
      }
    }
  }

  #apply(set: Desired): void {
    const wanted = new Map(set.items.map((item) => [item.id as string, item]))
    for (const [id, item] of this.items) {
      if (wanted.get(id)?.intent === 'run' || wanted.get(id)?.intent === 'drain') continue
      this.onStop(item)
      this.items.delete(id)
      this.statuses.delete(id)
    }
    for (const [id, item] of wanted) {
      if (item.intent === 'stop') continue
      if (!this.items.has(id)) this.#launch(item)
      this.items.set(id, item)
    }
    for (const stream of set.streams)
      if (!this.streams.some(({ streamId }) => streamId === stream.streamId)) this.onStream(stream)
    this.streams = set.streams
    this.#applied = { epoch: set.epoch, revision: set.revision }
    this.#wake()
  }

  #launch(item: DesiredInstance): void {
    const behaviour = this.behave(item)
    const address =
      item.spec.kind === 'service' && item.spec.port !== null ? `10.0.0.${this.#nextIp++}:${item.spec.port}` : null
    const status: InstanceStatus = {
      id: item.id,
      observed: 'starting',
      address,
      handle: `${item.id}-1`,
      restarts: 0,
      startedAt: new Date().toISOString(),
      nextStartAt: null,
      exit: null,
      reason: null,
      message: null,
      crashesBeforeReady: 0,
      lastLines: [],
      cpuMillis: 0,
      memoryBytes: 0,
      build: null,
    }
    this.statuses.set(item.id, status)
    if (behaviour.kind === 'ready') setTimeout(() => this.#change(item.id, { observed: 'ready' }), 5)
    if (behaviour.kind === 'crash') {
      const times = behaviour.times ?? 3
      for (let crash = 1; crash <= times; crash += 1) {
        setTimeout(
          () =>
            this.#change(item.id, {
              observed: crash === times ? 'backoff' : 'starting',
              restarts: crash,
              crashesBeforeReady: crash,
              reason: behaviour.reason ?? 'crashed',
              message: behaviour.message ?? 'it ended with exit code 1',
              lastLines: behaviour.lastLines ?? [],
            }),
          crash * 20,
        )
      }
    }
  }

  #change(id: string, changes: Partial<InstanceStatus>): void {
    if (this.statuses.has(id)) this.say(id, changes)
  }

  async #reports(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      await this.#report().catch(() => undefined)
      await Promise.race([woken, pause(250)])
    }
  }

  async #report(): Promise<void> {
    const statuses = [...this.statuses.values()]
    const statusHash = createHash('sha256').update(JSON.stringify(statuses)).digest('hex')
    const report: NodeReport = {
      bootId: this.bootId,
      epoch: this.#applied.epoch,
      appliedRevision: this.#applied.revision,
      capacity: {
        memoryBytes: this.memoryBytes,
        ...(this.availableMemoryBytes !== undefined && { availableMemoryBytes: this.availableMemoryBytes }),
        diskBytes: 1024 ** 4,
        cpuMillis: 2_000,
        maxInstances: 500,
      },
      statusHash,
      ...(statusHash !== this.#sentHash && { statuses }),
    }
    const { status, body } = await call(this.socketPath, 'PUT', `/v1/nodes/${this.nodeId}/status`, report)
    if (status === 204) this.#sentHash = statusHash
    else {
      this.#sentHash = undefined
      if (status !== 409) throw new Error(`report answered ${status} ${JSON.stringify(body)}`)
      await this.#report()
    }
  }
}

interface Table {
  epoch: string
  revision: number
  complete: true
  items: Route[]
}

/** A router without HAProxy: it applies tables after a moment and acknowledges them. */
export class ScriptedRouter {
  table: Table | null = null
  readonly revisions: number[] = []
  /** Instances that still carry requests after they left the table. */
  busy = new Set<string>()
  /** While true, no table is fetched and nothing is acknowledged. */
  isSilent = false
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(
    private readonly socketPath: string,
    readonly id = 'router-1',
  ) {}

  async start(): Promise<void> {
    this.#running = this.#watch()
    await waitFor(() => this.table !== null, { what: 'the first table', timeoutMs: 5_000 })
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  route(host: string): Route | undefined {
    return this.table?.items.find((item) => item.host === host)
  }

  /** Whether the table it serves has the instance. */
  routesTo(instanceId: string): boolean {
    return (
      this.table?.items.some((item) => item.endpoints.some((endpoint) => endpoint.instanceId === instanceId)) ?? false
    )
  }

  async report(): Promise<void> {
    await call(this.socketPath, 'PUT', `/v1/routers/${this.id}/status`, {
      epoch: this.table?.epoch ?? null,
      appliedRevision: this.table?.revision ?? 0,
      busyInstances: [...this.busy],
    })
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      if (this.isSilent) {
        await pause(10)
        continue
      }
      try {
        const query = new URLSearchParams({
          router: this.id,
          after: String(this.table?.revision ?? 0),
          wait: '5',
          ...(this.table !== null && { epoch: this.table.epoch }),
        })
        const { status, body } = await call<Table>(
          this.socketPath,
          'GET',
          `/v1/routes?${query.toString()}`,
          undefined,
          undefined,
          signal,
        )
        if (status === 200) {
          while (this.isSilent && !signal.aborted) await pause(10)
          await pause(5)
          this.table = body
          this.revisions.push(body.revision)
          await this.report()
        } else if (status !== 204) await pause(50)
      } catch {
        await pause(50)
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** The host every app has. */
export function hostOf(app: string): string {
  return `${app}.localhost`
}

export type { App }
